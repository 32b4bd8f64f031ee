"""The interface of necks, which refine the maps of every task before the heads read them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

from atrc.backbones import Pyramid
from searchspace import Registry
from searchspace.paths import PathOptions

__all__ = ["NECKS", "Neck", "Necked"]


class Necked(NamedTuple):
    """The output of a neck.

    Attributes:
        pyramids: Task -> its maps, with the shapes of the backbone's maps.
        initial: Task -> intermediate predictions ``(B, channels, H_s, W_s)``, which have the loss of the final one.
    """

    pyramids: Mapping[str, Pyramid]
    initial: Mapping[str, tuple[Tensor, ...]]


class Neck(nn.Module, PathOptions, ABC):
    """A module that refines the maps of every task; each map keeps its shape.

    Subclasses are built as ``Class(scales, outputs, **options)``, where ``scales`` are the channels of the maps,
    finest first, and ``outputs`` maps every task to the channels of its prediction.
    """

    @abstractmethod
    def forward(self, pyramids: Mapping[str, Pyramid]) -> Necked:
        """Computes the refined maps of every task from those of the backbone, which tasks may share."""


NECKS: Registry[type[Neck]] = Registry("neck", "atrc.necks")
