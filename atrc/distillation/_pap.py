"""Pattern-affinitive propagation (PAP; Zhang et al., CVPR 2019): affinities between pixels, shared across tasks.

The paper's tables give a cost but not the size of its affinity matrices. Here they relate the pixels of a grid with
half the side. With eight steps of diffusion, this fits the published multiply-adds.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atrc.distillation._base import DISTILLATIONS, Distillation, Features
from atrc.layers import pointwise_bn_relu
from atrc.resizing import resize

__all__ = ["PAP"]


@DISTILLATIONS.register("pap")
class PAP(Distillation):
    """Every task diffuses its features over a mixture of all tasks' affinities.

    All steps work on features that are averaged over 2 x 2 pixels. Every task s has a row-stochastic affinity between
    all pixels, ``M_s = softmax(x_s^T x_s / sqrt(d))``, from its reduced features x_s. A target t mixes the affinities
    by a learned convex combination ``a_t``: ``M'_t = sum over s of a_ts M_s``. Its features then diffuse several
    times: ``y <- rate * M'_t y + (1 - rate) * y``. The result is enlarged, added to F_t, and refined by a 1x1
    conv-BN-ReLU. (Adding only the change by diffusion would remove from F_t what neighbours have in common.)

    Args:
        channels: Task -> C.
        hidden: d, the channels of the reduced features; default C // 2.
        steps: Number of diffusion steps.
        rate: Share of y that one step replaces, in (0, 1].
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
            enlarged = resize(diffused, features[task].shape[-2:])
            refined[task] = self.refine[task](features[task] + enlarged)
        return refined

    def _diffused(self, x_BCHW: Tensor, affinity_BLL: Tensor) -> Tensor:
        y_BLC = x_BCHW.flatten(2).transpose(1, 2)
        for _ in range(self.steps):
            y_BLC = torch.lerp(y_BLC, affinity_BLL @ y_BLC, self.rate)
        return y_BLC.transpose(1, 2).view_as(x_BCHW)


def _affinity(x_BdHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
    """Returns ``(B, L, L)`` affinities. Rows sum to 1; padded pixels have affinity 0."""
    x_BdL = x_BdHW.flatten(2)
    logits_BLL = x_BdL.transpose(1, 2) @ x_BdL * x_BdL.shape[1] ** -0.5
    if valid_B1HW is not None:
        logits_BLL = logits_BLL.masked_fill(~valid_B1HW.flatten(2), -torch.inf)
    return logits_BLL.softmax(-1)
