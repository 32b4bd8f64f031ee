"""The parts of a network before and after distillation: features of every task, and predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atrc.backbones import Backbone, BranchedBackbone, Pyramid
from atrc.heads import Heads, ShallowHeads, prediction_layer
from atrc.necks import Neck
from atrc.tasks import Task
from searchspace import Selection

__all__ = ["Decoder", "Encoded", "Encoder", "Predictions", "Trunk", "on_grid"]

Encoder = Backbone | BranchedBackbone
"""A backbone, which gives maps for all tasks, or a branched one, which gives maps for each task."""


@dataclass(frozen=True)
class Predictions:
    """Raw outputs on the stride-4 grid.

    Attributes:
        final: Task -> ``(B, channels, h, w)``.
        regions: Task -> ``(B, R, h, w)`` logits of the auxiliary maps, for the tasks that have one.
        initial: Task -> predictions of a neck, ``(B, channels, h_s, w_s)``; empty without a neck.
    """

    final: Mapping[str, Tensor]
    regions: Mapping[str, Tensor]
    initial: Mapping[str, Sequence[Tensor]] = field(default_factory=dict)


torch.export.register_dataclass(Predictions, serialized_type_name="atrc.Predictions")  # so that networks export


class Encoded(NamedTuple):
    """Features of an image before distillation.

    Attributes:
        features: F_n ``(B, C, h, w)`` of every task.
        regions: A_n ``(B, R_n, h, w)`` of the tasks that have an auxiliary head.
        initial: See `Predictions`.
    """

    features: dict[str, Tensor]
    regions: dict[str, Tensor]
    initial: Mapping[str, Sequence[Tensor]]


@dataclass(frozen=True)
class Decoder:
    """The neck and the heads, which turn the maps of a backbone into features of tasks.

    Attributes:
        heads: Function from the channels of the maps to a design of heads.
        neck: Function from these channels, and from task -> channels of its prediction, to a neck; None for no neck.
    """

    heads: Callable[[Sequence[int]], Heads] = ShallowHeads
    neck: Callable[[Sequence[int], Mapping[str, int]], Neck] | None = None

    def channels(self, backbone: Encoder, tasks: Mapping[str, Task]) -> dict[str, int]:
        """Returns task -> C of its features."""
        return dict.fromkeys(tasks, self.heads(backbone.channels).channels)


class Trunk(nn.Module):
    """A network without the modules that refine features between the heads and the predictions.

    Args:
        backbone: The backbone, which gives maps for all tasks; a branched one gives maps for each task.
        tasks: Task name -> task, at least one.
        region_tasks: The tasks that get an auxiliary head.
        decoder: Neck and heads.
    """

    def __init__(
        self,
        backbone: Encoder,
        tasks: Mapping[str, Task],
        region_tasks: frozenset[str],
        decoder: Decoder,
    ) -> None:
        super().__init__()
        self.tasks = dict(tasks)
        self.backbone = backbone
        design = decoder.heads(backbone.channels)
        self.channels = dict.fromkeys(tasks, design.channels)
        outputs = {name: task.channels for name, task in tasks.items()}
        self.neck = decoder.neck(backbone.channels, outputs) if decoder.neck else None
        self.heads = nn.ModuleDict({name: design.task_head() for name in tasks})
        self.auxiliary = nn.ModuleDict(
            {name: design.auxiliary_head(task.regions) for name, task in tasks.items() if name in region_tasks}
        )
        self.predict = nn.ModuleDict({name: prediction_layer(design.channels, n) for name, n in outputs.items()})

    def encode(self, image: Tensor, selection: Selection | None = None) -> Encoded:
        """Computes features and region maps of images ``(B, 3, H, W)``; a searched backbone needs ``selection``."""
        maps = self.backbone(image) if selection is None else self.backbone(image, selection)
        pyramids: Mapping[str, Pyramid]
        if isinstance(maps, Mapping):
            pyramids = {name: Pyramid(own) for name, own in maps.items()}
        else:
            pyramids = dict.fromkeys(self.tasks, Pyramid(maps))
        initial: Mapping[str, Sequence[Tensor]] = {}
        if self.neck is not None:
            pyramids, initial = self.neck(pyramids)
        features = {name: head(pyramids[name]) for name, head in self.heads.items()}
        regions = {name: head(pyramids[name]) for name, head in self.auxiliary.items()}
        return Encoded(features, regions, initial)

    def finish(self, refined: Mapping[str, Tensor], encoded: Encoded) -> Predictions:
        """Computes final predictions from refined features."""
        final = {name: layer(refined[name]) for name, layer in self.predict.items()}
        return Predictions(final, encoded.regions, encoded.initial)

    def parts(self) -> dict[str, list[nn.Module]]:
        """Returns name of a part -> its modules, for tables of resources; see `atrc.costs.Counter.parts`.

        A network with further modules adds them: to ``blocks`` the modules that refine features, and to ``fuse`` the
        modules that join the blocks of a target. Modules of ``fuse`` may lie inside ``blocks``.
        """
        neck: dict[str, list[nn.Module]] = {} if self.neck is None else {"neck": [self.neck]}
        return {
            "backbone": [self.backbone],
            **neck,
            "heads": [self.heads, self.predict],
            "aux": [self.auxiliary],
            "blocks": [],
            "fuse": [],
        }


def on_grid(valid: Tensor | None, features: Mapping[str, Tensor]) -> Tensor | None:
    """Returns the validity mask on the features' grid, or None if there is none."""
    if valid is None:
        return None
    size = next(iter(features.values())).shape[2:]
    return F.interpolate(valid.float(), size, mode="nearest").bool()
