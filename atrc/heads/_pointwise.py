"""Heads that see one pixel of the maps at a time, so that only contexts give information about its surroundings."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from atrc.backbones import Pyramid
from atrc.heads._auxiliary import prediction_layer
from atrc.heads._base import HEADS, Heads
from atrc.layers import pointwise_bn_relu

__all__ = ["PointwiseHeads"]


@HEADS.register("pointwise")
class PointwiseHeads(Heads):
    """Heads of a 1x1 conv - BN - ReLU. The auxiliary head has one more 1x1 conv.

    The task head reads the finest map, the auxiliary head the last one.

    Args:
        scales: Channels of the maps.
        channels: C, the channels of the features.
        hidden: Channels within the auxiliary head.
    """

    def __init__(self, scales: Sequence[int], *, channels: int = 24, hidden: int = 16) -> None:
        self.first, self.last = scales[0], scales[-1]
        self.channels = channels
        self.hidden = hidden

    def task_head(self) -> nn.Module:
        return _OnFinest(*pointwise_bn_relu(self.first, self.channels))

    def auxiliary_head(self, regions: int) -> nn.Module:
        return _OnLast(*pointwise_bn_relu(self.last, self.hidden), prediction_layer(self.hidden, regions))


class _OnFinest(nn.Sequential):
    def forward(self, pyramid: Pyramid) -> Tensor:
        features: Tensor = super().forward(pyramid.maps[0])
        return features


class _OnLast(nn.Sequential):
    def forward(self, pyramid: Pyramid) -> Tensor:
        logits: Tensor = super().forward(pyramid.maps[-1].detach())
        return logits
