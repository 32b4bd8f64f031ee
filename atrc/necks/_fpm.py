"""Feature propagation and initial predictions of MTI-Net.

Vandenhende et al., "MTI-Net: Multi-Scale Task Interaction Networks for Multi-Task Learning", ECCV 2020.

From the deepest scale upwards, every task predicts at each scale from two inputs: the map of the backbone, and
features from the next deeper scale. Before these are passed on, the features of all tasks are merged and split into
tasks again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from atrc.backbones import Pyramid
from atrc.heads import prediction_layer
from atrc.layers import BasicBlock, Pointwise
from atrc.necks._base import NECKS, Neck, Necked
from atrc.resizing import resize

__all__ = ["FPM", "Propagation"]

SQUEEZE = 16


class Propagation(nn.Module):
    """A module between one scale and the next finer one. Every task has ``(B, c, H, W)`` features, in and out.

    Two residual blocks and a 1x1 convolution turn the concatenated features of all N tasks into gates, a softmax over
    tasks. A residual block reduces the gated features to c channels. To its own features, every task adds these
    channels, scaled by squeeze and excitation (Hu et al., CVPR 2018).

    Args:
        tasks: Names of the tasks.
        channels: c, the channels of a task.
        reduction: Factor by which the first residual block reduces the N c channels.
    """

    def __init__(self, tasks: Sequence[str], channels: int, *, reduction: int = 4) -> None:
        super().__init__()
        everything = len(tasks) * channels
        hidden = max(1, everything // reduction)
        self.mask = nn.Sequential(
            BasicBlock(everything, hidden), BasicBlock(hidden, hidden), Pointwise(hidden, everything)
        )
        self.reduce = BasicBlock(everything, channels)
        self.excite = nn.ModuleDict({task: _Excitation(channels) for task in tasks})

    def forward(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        joined = torch.cat([features[task] for task in self.excite], dim=1)
        tasks = (len(self.excite), -1)
        gate = self.mask(joined).unflatten(1, tasks).softmax(dim=1)
        merged = self.reduce((gate * joined.unflatten(1, tasks)).flatten(1, 2))
        return {task: features[task] + excite(merged) for task, excite in self.excite.items()}


class _Excitation(nn.Module):
    """A module that scales every channel by a factor, computed from the means of all channels over the image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = max(1, channels // SQUEEZE)
        self.scale = nn.Sequential(
            nn.Linear(channels, squeezed),
            nn.ReLU(inplace=True),
            nn.Linear(squeezed, channels),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        scaled: Tensor = x * self.scale(x.mean((2, 3)))[:, :, None, None]
        return scaled


@NECKS.register("fpm")
class FPM(Neck):
    """A neck that gives every task its own maps, refined from the deepest scale upwards, with a prediction at each.

    At each scale, two residual blocks compute a task's map. They read the backbone's map, concatenated with the
    resized output of `Propagation` from the next deeper scale. A 1x1 convolution predicts from the result.

    Args:
        scales: Channels c_s of the maps; every task's maps have the same.
        outputs: Task -> channels of its prediction.
        reduction: See `Propagation`.
    """

    def __init__(self, scales: Sequence[int], outputs: Mapping[str, int], *, reduction: int = 4) -> None:
        super().__init__()
        handed = [*scales[1:], 0]
        self.features = nn.ModuleList(
            nn.ModuleDict({task: _two_blocks(width + below, width) for task in outputs})
            for width, below in zip(scales, handed, strict=True)
        )
        self.predict = nn.ModuleList(
            nn.ModuleDict({task: prediction_layer(width, channels) for task, channels in outputs.items()})
            for width in scales
        )
        self.propagate = nn.ModuleList(Propagation(list(outputs), width, reduction=reduction) for width in scales[1:])

    def forward(self, pyramids: Mapping[str, Pyramid]) -> Necked:
        found: list[dict[str, Tensor]] = []  # deepest scale first
        for scale in reversed(range(len(self.features))):
            maps = {task: pyramid.maps[scale] for task, pyramid in pyramids.items()}
            if found:
                handed = self.propagate[scale](found[-1])
                maps = {task: torch.cat([x, resize(handed[task], x.shape[2:])], dim=1) for task, x in maps.items()}
            blocks = self.features[scale].items()  # type: ignore[operator]
            found.append({task: block(maps[task]) for task, block in blocks})
        found.reverse()
        initial = {
            task: tuple(
                layers[task](features[task])  # type: ignore[index]
                for layers, features in zip(self.predict, found, strict=True)
            )
            for task in pyramids
        }
        return Necked({task: Pyramid([features[task] for features in found]) for task in pyramids}, initial)


def _two_blocks(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(BasicBlock(inputs, outputs), BasicBlock(outputs, outputs))
