"""Pattern-structure diffusion (PSD; Zhou et al., CVPR 2020): tasks share local affinities.

The published cost does not determine the module. This one keeps its idea: within a window, every task's affinities
say which pixels belong together. A target repeatedly spreads its features along these structures of all tasks.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from atrc.contexts.local_attention import local_attention
from atrc.distillation._atrc import RowFusion
from atrc.distillation._base import DISTILLATIONS, Distillation, Features
from atrc.layers import Pointwise, pointwise_bn_relu

__all__ = ["PSD"]


@DISTILLATIONS.register("psd")
class PSD(Distillation):
    """A module in which every task spreads its features along the local structures of all tasks, gated per pixel.

    ``S_s`` is the softmax over a pixel's window of its similarities in task s (as in local context). A target's
    reduced features spread several times: ``y <- sum over s of g_ts * (S_s y)``. Its gates ``g_t`` are a softmax over
    tasks of a 1x1 convolution of all features. The result is joined with F_t as in a row of the ATRC module.

    Args:
        channels: Task -> C.
        hidden: d, the channels of the reduced features; default C // 2 of every task.
        window: Odd side of the neighbourhood.
        steps: Number of diffusion steps.
    """

    def __init__(
        self, channels: Mapping[str, int], *, hidden: int | None = None, window: int = 9, steps: int = 2
    ) -> None:
        super().__init__()
        self.window = window
        self.steps = steps
        self.form = "auto"
        widths = {task: hidden or width // 2 for task, width in channels.items()}
        self.query = nn.ModuleDict({task: pointwise_bn_relu(channels[task], width) for task, width in widths.items()})
        self.key = nn.ModuleDict({task: pointwise_bn_relu(channels[task], width) for task, width in widths.items()})
        self.value = nn.ModuleDict({task: pointwise_bn_relu(channels[task], width) for task, width in widths.items()})
        together = sum(channels.values())
        self.gate = nn.ModuleDict({task: Pointwise(together, len(channels)) for task in channels})
        self.rows = nn.ModuleDict({task: RowFusion(channels[task], width) for task, width in widths.items()})

    def forward(self, features: Features, regions: Features, valid: Tensor | None = None) -> dict[str, Tensor]:
        tasks = list(self.rows)
        together = torch.cat([features[task] for task in tasks], dim=1)
        gates = {task: self.gate[task](together).softmax(1).split(1, dim=1) for task in tasks}
        query = {task: self.query[task](features[task]) for task in tasks}
        key = {task: self.key[task](features[task]) for task in tasks}
        spread = {task: self.value[task](features[task]) for task in tasks}
        for _ in range(self.steps):
            along = [self._along(query[task], key[task], spread) for task in tasks]
            spread = {task: _mix(gates[task], [structure[task] for structure in along]) for task in tasks}
        return {task: row(features[task], [spread[task]]) for task, row in self.rows.items()}

    def fusion(self) -> list[nn.Module]:
        return [self.rows]

    def reference_form(self) -> None:
        """Computes the attention in the form that defines it, from now on."""
        self.form = "unfold"

    def _along(self, query: Tensor, key: Tensor, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Spreads the values of all tasks along one task's structure."""
        stacked = torch.cat(list(values.values()), dim=1)
        moved = local_attention(query, key, stacked, window=self.window, form=self.form)
        parts = moved.split([value.shape[1] for value in values.values()], dim=1)
        return dict(zip(values, parts, strict=True))


def _mix(weights: tuple[Tensor, ...], maps: list[Tensor]) -> Tensor:
    terms = [weight * x for weight, x in zip(weights, maps, strict=True)]
    return sum(terms[1:], start=terms[0])
