"""The auxiliary head (Sec. 3.1), and the layer that every prediction ends with."""

from __future__ import annotations

from torch import Tensor, nn

from atrc.backbones import Pyramid
from atrc.layers import Pointwise, pointwise_bn_relu

__all__ = ["AuxiliaryHead", "prediction_layer"]


class AuxiliaryHead(nn.Module):
    """A head on the stacked maps (1x1 conv-BN-ReLU, then 1x1 conv) that predicts the task's region map A_n.

    Args:
        inputs: Channels of the stacked maps.
        regions: R_n, the number of label regions.
    """

    def __init__(self, inputs: int, regions: int) -> None:
        super().__init__()
        self.hidden = pointwise_bn_relu(inputs, inputs)
        self.regions = prediction_layer(inputs, regions)

    def forward(self, pyramid: Pyramid) -> Tensor:
        """Computes ``(B, R, H, W)`` logits."""
        out: Tensor = self.regions(self.hidden(pyramid.detached))
        return out


def prediction_layer(inputs: int, outputs: int) -> nn.Conv2d:
    """Returns a 1x1 conv with weights from N(0, 0.01) and bias 0."""
    layer = Pointwise(inputs, outputs)
    if not layer.weight.is_meta:  # there are no values, and torch would import its compiler
        nn.init.normal_(layer.weight, std=0.01)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
