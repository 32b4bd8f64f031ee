"""Task heads, auxiliary heads and prediction layers (Sec. 3.1): shallow, one of each per task."""

from __future__ import annotations

from torch import Tensor, nn

from atrc.contexts import conv_bn_relu

__all__ = ["AuxiliaryHead", "TaskHead", "prediction_layer"]


class TaskHead(nn.Sequential):
    """3x3 conv (no bias) - BN - ReLU: the backbone's stacked maps -> the task's features F_n."""

    def __init__(self, inputs: int, channels: int) -> None:
        conv = nn.Conv2d(inputs, channels, 3, padding=1, bias=False)
        super().__init__(conv, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


class AuxiliaryHead(nn.Module):
    """1x1 conv-BN-ReLU, then 1x1 conv: the map A_n over the task's label regions.

    Its input is detached, so the auxiliary losses do not reach the backbone. Its output is not: where label contexts
    read it, the final loss does reach this head.
    """

    def __init__(self, inputs: int, regions: int) -> None:
        super().__init__()
        self.hidden = conv_bn_relu(inputs, inputs)
        self.regions = prediction_layer(inputs, regions)

    def forward(self, stacked: Tensor) -> Tensor:
        """``(B, R, H, W)`` logits from ``(B, inputs, H, W)``."""
        out: Tensor = self.regions(self.hidden(stacked.detach()))
        return out


def prediction_layer(inputs: int, outputs: int) -> nn.Conv2d:
    """1x1 conv with weights from N(0, 0.01) and bias 0."""
    layer = nn.Conv2d(inputs, outputs, 1)
    nn.init.normal_(layer.weight, std=0.01)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
