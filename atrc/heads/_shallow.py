"""The heads of Sec. 3.1: one 3x3 convolution on the stacked maps."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from atrc.backbones import Pyramid
from atrc.heads._aspp import ASPP, RATES
from atrc.heads._auxiliary import AuxiliaryHead
from atrc.heads._base import HEADS, Heads
from atrc.layers import conv_bn_relu

__all__ = ["ShallowHeads"]

ASPP_WIDTH = 256


@HEADS.register("shallow")
class ShallowHeads(Heads):
    """Heads of a 3x3 conv (no bias) - BN - ReLU on the stacked maps; C is a quarter of their channels.

    Args:
        scales: Channels of the maps.
        aspp: Whether `ASPP` comes first.
        rates: Dilations of `ASPP`.
    """

    def __init__(self, scales: Sequence[int], *, aspp: bool = False, rates: Sequence[int] = RATES) -> None:
        self.inputs = sum(scales)
        self.channels = self.inputs // 4
        self.rates = tuple(rates) if aspp else None

    def task_head(self) -> nn.Module:
        if self.rates is None:
            return _OnStacked(*conv_bn_relu(self.inputs, self.channels))
        return _OnStacked(ASPP(self.inputs, ASPP_WIDTH, self.rates), *conv_bn_relu(ASPP_WIDTH, self.channels))

    def auxiliary_head(self, regions: int) -> nn.Module:
        return AuxiliaryHead(self.inputs, regions)


class _OnStacked(nn.Sequential):
    def forward(self, pyramid: Pyramid) -> Tensor:
        features: Tensor = super().forward(pyramid.stacked)
        return features
