"""What a context is: one way for a target task to attend to a source task, inside a context-pooling block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from typing import ClassVar

from torch import Tensor, nn

from searchspace import Registry

__all__ = ["CONTEXTS", "Context", "LabelSpace", "conv_bn_relu"]


class LabelSpace(Enum):
    """Whose label regions a context reads."""

    TARGET = "target"
    SOURCE = "source"


class Context(nn.Module, ABC):
    """Scaled dot-product attention with its projections (Eq. 1); subclasses say over what it attends.

    Query and key are 1x1 conv-BN-ReLU then 1x1 conv-BN, the value 1x1 conv-BN-ReLU; no conv has a bias.

    Args:
        target_channels: Channels of the target's features F_T.
        source_channels: Channels of the source's features F_S.
        hidden: d, the channels of query, key, value and output.
        affine_value: Whether the value's batch norm learns a scale. False in a supergraph, where a scale could
            hide the mixing weight.

    Attributes:
        label_space: Whose region densities `forward` takes, or None.
    """

    label_space: ClassVar[LabelSpace | None] = None

    def __init__(self, target_channels: int, source_channels: int, hidden: int, *, affine_value: bool = True) -> None:
        super().__init__()
        self.query = _projection(target_channels, hidden)
        self.key = _projection(source_channels, hidden)
        self.value = conv_bn_relu(source_channels, hidden, affine=affine_value)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)

    @abstractmethod
    def forward(self, target: Tensor, source: Tensor, density: Tensor | None) -> Tensor:
        """The source's information for every target pixel.

        Args:
            target: F_T, ``(B, C_T, H, W)``.
            source: F_S, ``(B, C_S, H, W)``.
            density: ``(B, R, H, W)`` region densities of the task that `label_space` names, else None.

        Returns:
            ``(B, hidden, H, W)``.
        """


CONTEXTS: Registry[type[Context]] = Registry("context type", "atrc.contexts")


def conv_bn_relu(inputs: int, outputs: int, *, affine: bool = True) -> nn.Sequential:
    """1x1 conv without bias - BN - ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs, affine=affine), nn.ReLU(inplace=True)
    )


def _projection(inputs: int, hidden: int) -> nn.Sequential:
    """Query or key: the activation after the second BN belongs to the context."""
    return nn.Sequential(
        *conv_bn_relu(inputs, hidden), nn.Conv2d(hidden, hidden, 1, bias=False), nn.BatchNorm2d(hidden)
    )
