"""PAD-Net's module C (Xu et al., CVPR 2018), which MTI-Net uses, too (Vandenhende et al., ECCV 2020)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from atrc.distillation._base import DISTILLATIONS
from atrc.distillation._messages import Messages

__all__ = ["PADNetC"]


@DISTILLATIONS.register("pad_c")
class PADNetC(Messages):
    """`Messages` with a gate from the source: ``conv3x3(F_s) * sigmoid(conv3x3(F_s))``, without bias and norm.

    Args:
        channels: Task -> C.
        refine: Whether a 1x1 conv-BN-ReLU follows the sum, as in Table 1; MTI-Net's own module ends with the sum.
    """

    def __init__(self, channels: Mapping[str, int], *, refine: bool = True) -> None:
        super().__init__(channels, _Gated, refine=refine)


class _Gated(nn.Module):
    def __init__(self, source: int, target: int) -> None:
        super().__init__()
        self.message = nn.Conv2d(source, target, 3, padding=1, bias=False)
        self.gate = nn.Conv2d(source, target, 3, padding=1, bias=False)

    def forward(self, source: Tensor) -> Tensor:
        gated: Tensor = self.message(source) * torch.sigmoid(self.gate(source))
        return gated
