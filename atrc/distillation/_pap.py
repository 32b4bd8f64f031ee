"""Pattern-affinitive propagation (PAP; Zhang et al., CVPR 2019): affinities between pixels, shared across tasks.

The cost that the paper's tables give does not tell how large its affinity matrices were. Here they join the pixels
of a grid of half the side, which is what eight steps of diffusion can afford at the published multiply-adds.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atrc.distillation._base import DISTILLATIONS, Distillation, Features
from atrc.layers import pointwise_bn_relu

__all__ = ["PAP"]


@DISTILLATIONS.register("pap")
class PAP(Distillation):
    """Every task diffuses its features over a mixture of all tasks' affinities.

    On features averaged over 2 x 2 pixels: every task has a row-stochastic affinity between all pixels,
    ``M_s = softmax(x_s^T x_s / sqrt(d))`` of its reduced features; a target mixes them,
    ``M'_t = sum over s of a_ts M_s`` with ``a_t`` a learned convex combination; and its features diffuse,
    ``y <- rate * M'_t y + (1 - rate) * y``, several times. The outcome is enlarged, added to F_t, and refined by a
    1x1 conv-BN-ReLU. (Adding only what diffusion changed would take from F_t what neighbours have in common.)

    Args:
        channels: Task -> C.
        hidden: d, the channels that affinities are taken of; default C // 2.
        steps: Of diffusion.
        rate: How much one step replaces, in (0, 1].
    """

    def __init__(
        self, channels: Mapping[str, int], *, hidden: int | None = None, steps: int = 8, rate: float = 0.5
    ) -> None:
        super().__init__()
        self.tasks = tuple(channels)
        self.steps = steps
        self.rate = rate
        self.reduce = nn.ModuleDict(
            {task: pointwise_bn_relu(width, hidden or width // 2) for task, width in channels.items()}
        )
        self.mixture = nn.Parameter(torch.zeros(len(channels), len(channels)))
        self.refine = nn.ModuleDict({task: pointwise_bn_relu(width, width) for task, width in channels.items()})

    def forward(self, features: Features, regions: Features, valid: Tensor | None = None) -> dict[str, Tensor]:
        coarse = {task: F.avg_pool2d(features[task], 2, ceil_mode=True) for task in self.tasks}
        seen = None if valid is None else F.max_pool2d(valid.to(features[self.tasks[0]].dtype), 2, ceil_mode=True) > 0
        affinities = [_affinity(self.reduce[task](coarse[task]), seen) for task in self.tasks]
        refined = {}
        for task, shares in zip(self.tasks, self.mixture.softmax(-1), strict=True):
            terms = [share * affinity for share, affinity in zip(shares, affinities, strict=True)]
            mixed_BLL = sum(terms[1:], start=terms[0])
            diffused = self._diffused(coarse[task], mixed_BLL)
            enlarged = F.interpolate(diffused, features[task].shape[-2:], mode="bilinear", align_corners=False)
            refined[task] = self.refine[task](features[task] + enlarged)
        return refined

    def _diffused(self, x_BCHW: Tensor, affinity_BLL: Tensor) -> Tensor:
        y_BLC = x_BCHW.flatten(2).transpose(1, 2)
        for _ in range(self.steps):
            y_BLC = torch.lerp(y_BLC, affinity_BLL @ y_BLC, self.rate)
        return y_BLC.transpose(1, 2).view_as(x_BCHW)


def _affinity(x_BdHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
    """``(B, L, L)``, rows sum to 1; nothing flows from padding."""
    x_BdL = x_BdHW.flatten(2)
    logits_BLL = x_BdL.transpose(1, 2) @ x_BdL * x_BdL.shape[1] ** -0.5
    if valid_B1HW is not None:
        logits_BLL = logits_BLL.masked_fill(~valid_B1HW.flatten(2), -torch.inf)
    return logits_BLL.softmax(-1)
