"""Atrous spatial pyramid pooling (Chen et al., "Rethinking Atrous Convolution", 2017)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from atrc.layers import conv_bn_relu

__all__ = ["ASPP", "RATES"]

RATES = (12, 24, 36)


class ASPP(nn.Module):
    """Parallel branches (1x1 convolution, dilated 3x3 convolutions, mean of the image), joined by a 1x1 convolution.

    Each convolution is bias-free and followed by BN and ReLU. The mean has one value per image and channel, so its BN
    needs batches of at least two images in training.

    Args:
        inputs: Channels of the map.
        channels: Channels of every branch and of the output.
        rates: Dilations of the 3x3 convolutions.
    """

    def __init__(self, inputs: int, channels: int = 256, rates: Sequence[int] = RATES) -> None:
        super().__init__()
        self.point = conv_bn_relu(inputs, channels, 1)
        self.atrous = nn.ModuleList(conv_bn_relu(inputs, channels, 3, dilation=rate) for rate in rates)
        self.image = conv_bn_relu(inputs, channels, 1)
        self.join = conv_bn_relu((2 + len(rates)) * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Computes ``(B, channels, H, W)`` from ``(B, inputs, H, W)``."""
        mean = self.image(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])
        joined: Tensor = self.join(torch.cat([self.point(x), *(branch(x) for branch in self.atrous), mean], dim=1))
        return joined
