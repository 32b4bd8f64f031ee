"""The interface of a context: one way for a target task to attend to a source task in a context-pooling block."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from enum import Enum
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from atrc.contexts.attention import region_prototypes
from atrc.layers import Pointwise, pointwise_bn_relu
from searchspace import Registry
from searchspace.paths import PathOptions

__all__ = ["CONTEXTS", "Context", "LabelSpace"]


class LabelSpace(Enum):
    """The task whose label regions a context reads."""

    TARGET = "target"
    SOURCE = "source"


class Context(nn.Module, PathOptions):
    """Attention with its projections (Eq. 1). Subclasses define the attention, over pixels or over label regions.

    A subclass overrides `attend`. Or it overrides `forward`; then it runs on its own, without the computation that
    contexts share.

    Query and key are computed by a 1x1 conv-BN-ReLU and a 1x1 conv-BN, the value by a 1x1 conv-BN-ReLU. No
    convolution has a bias.

    Args:
        target_channels: Channels of the target's features F_T.
        source_channels: Channels of the source's features F_S.
        hidden: d, the channels of query, key, value and output.
        affine_value: Whether the value's batch norm learns scale and shift. It is False in a supergraph, where a
            scale could compensate the mixing weight.

    Attributes:
        label_space: Task (target or source) whose region densities `forward` takes, or None.
        activation: Activation function of queries and keys.
    """

    label_space: ClassVar[LabelSpace | None] = None
    activation: Callable[[Tensor], Tensor] = staticmethod(F.relu)

    def __init__(self, target_channels: int, source_channels: int, hidden: int, *, affine_value: bool = True) -> None:
        super().__init__()
        self.query = _projection(target_channels, hidden)
        self.key = _projection(source_channels, hidden)
        self.value = pointwise_bn_relu(source_channels, hidden, affine=affine_value)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)

    def forward(self, target: Tensor, source: Tensor, density: Tensor | None) -> Tensor:
        """Returns the source's information for every target pixel.

        Args:
            target: F_T, ``(B, C_T, H, W)``.
            source: F_S, ``(B, C_S, H, W)``.
            density: ``(B, R, H, W)`` region densities of the task that `label_space` names, else None.

        Returns:
            ``(B, hidden, H, W)``.
        """
        return self.attend(*self.project(target, source, density))

    def project(self, target: Tensor, source: Tensor, density: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Computes query, key and value for `attend` from the arguments of `forward`."""
        if self.label_space is None:
            attended = source
        elif density is None:
            raise ValueError("a label context needs the region densities of its label space")
        else:
            attended = region_prototypes(density, source)
        return self.activation(self.query(target)), self.activation(self.key(attended)), self.value(attended)

    @classmethod
    def reads(cls, target: str, source: str) -> str | None:
        """Returns the task whose label regions this context reads in a block; None if it reads none."""
        return {None: None, LabelSpace.TARGET: target, LabelSpace.SOURCE: source}[cls.label_space]

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Computes the attention from the projected and activated query, key and value.

        Args:
            query: ``(B, hidden, H, W)``.
            key: ``(B, hidden, H, W)``, or ``(B, hidden, R, 1)`` for region prototypes.
            value: Same shape as the key.

        Returns:
            ``(B, hidden, H, W)``.
        """
        raise NotImplementedError(f"{type(self).__name__} overrides neither attend nor forward")

    def alike(self) -> Hashable:
        """Returns a value that is equal for contexts that attend in the same way; None for one that runs alone.

        The queries, keys and values of contexts that are alike pass through `attend_in_order` together, as if their
        images were one batch. So `attend` must treat every image by itself.
        """
        return None

    def attend_in_order(self, query: Tensor, key: Tensor, value: Tensor, order: Tensor | None) -> Tensor:
        """Computes `attend` where keys and values are those of other images than the queries.

        Args:
            query: See `attend`.
            key: See `attend`.
            value: See `attend`.
            order: ``(B,)`` permutation: queries of image b attend to the keys of image ``order[b]``. None: of image
                b.
        """
        return self.attend(query, key, value) if order is None else self.attend(query, key[order], value[order])


CONTEXTS: Registry[type[Context]] = Registry("context type", "atrc.contexts")


def _projection(inputs: int, hidden: int) -> nn.Sequential:
    """Returns the projection to a query or key, without the context's activation."""
    return nn.Sequential(
        *pointwise_bn_relu(inputs, hidden), Pointwise(hidden, hidden, bias=False), nn.BatchNorm2d(hidden)
    )
