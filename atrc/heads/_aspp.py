"""Atrous spatial pyramid pooling (Chen et al., "Rethinking Atrous Convolution", 2017)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from atrc.layers import conv_bn_relu

__all__ = ["ASPP", "RATES"]

RATES = (12, 24, 36)


class ASPP(nn.Module):
    """A 1x1 convolution, 3x3 ones of several dilations, and the mean of the image, side by side; joined by a 1x1 one.

    Each is bias-free and followed by BN and ReLU. The mean has one value an image and channel, so that training needs
    two images a batch.

    Args:
        inputs: Channels of the map.
        channels: Of every branch, and of the output.
        rates: Dilations.
    """

    def __init__(self, inputs: int, channels: int = 256, rates: Sequence[int] = RATES) -> None:
        super().__init__()
        self.point = conv_bn_relu(inputs, channels, 1)
        self.atrous = nn.ModuleList(conv_bn_relu(inputs, channels, 3, dilation=rate) for rate in rates)
        self.image = conv_bn_relu(inputs, channels, 1)
        self.join = conv_bn_relu((2 + len(rates)) * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, channels, H, W)`` from ``(B, inputs, H, W)``."""
        mean = self.image(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])
        joined: Tensor = self.join(torch.cat([self.point(x), *(branch(x) for branch in self.atrous), mean], dim=1))
        return joined
