"""Cross-stitch units (Misra et al., CVPR 2016): learned linear combinations of all tasks' features."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from atrc.distillation._base import DISTILLATIONS, Distillation, Features, equal_channels

__all__ = ["CrossStitch"]


@DISTILLATIONS.register("cross_stitch")
class CrossStitch(Distillation):
    """One unit over the features of all tasks: ``F'_t = sum over s of a_ts * F_s``, channel by channel.

    As in the paper, the weights start as a convex combination in which a task keeps most of its own features.
    Element-wise products are not counted as multiply-adds, as in Table 1.

    Args:
        channels: Task -> C, the same for all tasks.
        own: Initial weight of a task's own features, in [0, 1]; the other tasks share the rest.

    Raises:
        InputError: The tasks have different channels.
    """

    def __init__(self, channels: Mapping[str, int], *, own: float = 0.9) -> None:
        super().__init__()
        width = equal_channels(channels, "cross_stitch")
        self.tasks = tuple(channels)
        number = len(self.tasks)
        weights = torch.full((number, number), (1 - own) / max(1, number - 1)).fill_diagonal_(own)
        self.weights = nn.Parameter(weights[:, :, None].repeat(1, 1, width))

    def forward(self, features: Features, regions: Features, valid: Tensor | None = None) -> dict[str, Tensor]:
        sources = [features[task] for task in self.tasks]
        stitched = {}
        for target, of_sources in zip(self.tasks, self.weights, strict=True):
            terms = (weight[:, None, None] * source for weight, source in zip(of_sources, sources, strict=True))
            stitched[target] = sum(terms, start=torch.zeros_like(sources[0]))
        return stitched
