"""Fully convolutional heads with a skip connection, for backbones like ResNet whose deepest map matters most.

For Table 5, the paper says only "a skip connection at stride 4, and fully convolutional task-specific heads". The
rest follows DeepLabv3+ (Chen et al., ECCV 2018): 48 channels of the finest map beside 256 of the deepest one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from atrc.backbones import Pyramid
from atrc.heads._aspp import ASPP, RATES
from atrc.heads._auxiliary import prediction_layer
from atrc.heads._base import HEADS, Heads
from atrc.layers import conv_bn_relu
from atrc.resizing import resize

__all__ = ["FCNHeads"]


@HEADS.register("fcn")
class FCNHeads(Heads):
    """Heads that enlarge the reduced deepest map to stride 4, and join it with the finest one by a 3x3 convolution.

    Args:
        scales: Channels of the maps, of which the finest and the deepest are read.
        channels: C, the channels of the features.
        skip: Channels to which the finest map is reduced.
        aspp: Whether `ASPP` reduces the deepest map, instead of a 3x3 convolution.
        rates: Dilations of `ASPP`.
    """

    def __init__(
        self,
        scales: Sequence[int],
        *,
        channels: int = 256,
        skip: int = 48,
        aspp: bool = False,
        rates: Sequence[int] = RATES,
    ) -> None:
        self.fine, self.deep = scales[0], scales[-1]
        self.channels = channels
        self.skip = skip
        self.rates = tuple(rates) if aspp else None

    def task_head(self) -> nn.Module:
        reduce: nn.Module
        if self.rates is None:
            reduce = conv_bn_relu(self.deep, self.channels)
        else:
            reduce = ASPP(self.deep, self.channels, self.rates)
        join = conv_bn_relu(self.channels + self.skip, self.channels)
        return _Skipping(reduce, conv_bn_relu(self.fine, self.skip, 1), join)

    def auxiliary_head(self, regions: int) -> nn.Module:
        reduce = conv_bn_relu(self.deep, self.channels, 1)
        predict = prediction_layer(self.channels + self.skip, regions)
        return _Skipping(reduce, conv_bn_relu(self.fine, self.skip, 1), predict, detached=True)


class _Skipping(nn.Module):
    def __init__(self, reduce: nn.Module, skip: nn.Module, join: nn.Module, *, detached: bool = False) -> None:
        super().__init__()
        self.reduce, self.skip, self.join = reduce, skip, join
        self.detached = detached

    def forward(self, pyramid: Pyramid) -> Tensor:
        fine, deep = pyramid.maps[0], pyramid.maps[-1]
        if self.detached:
            fine, deep = fine.detach(), deep.detach()
        joined: Tensor = self.join(torch.cat([resize(self.reduce(deep), fine.shape[2:]), self.skip(fine)], dim=1))
        return joined
