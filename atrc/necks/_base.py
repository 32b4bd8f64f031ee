"""What a neck is: it refines the maps of every task before the heads read them."""

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
    """What a neck gives.

    Attributes:
        pyramids: Task -> its maps, of the shapes of the backbone's.
        initial: Task -> predictions on the way, ``(B, channels, H_s, W_s)``, which are supervised like the final one.
    """

    pyramids: Mapping[str, Pyramid]
    initial: Mapping[str, tuple[Tensor, ...]]


class Neck(nn.Module, PathOptions, ABC):
    """Refines the maps of every task; each keeps its shape.

    Subclasses are built as ``Class(scales, outputs, **options)`` with ``scales`` the channels of the maps, finest
    first, and ``outputs`` the mapping task -> channels of its prediction.
    """

    @abstractmethod
    def forward(self, pyramids: Mapping[str, Pyramid]) -> Necked:
        """Refined maps of every task from those of the backbone, which tasks may share."""


NECKS: Registry[type[Neck]] = Registry("neck", "atrc.necks")
