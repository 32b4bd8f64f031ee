"""What a design of heads is: what a task reads off the maps of a backbone, its features and its region map."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import nn

from searchspace import Registry
from searchspace.paths import PathOptions

__all__ = ["HEADS", "Heads"]


class Heads(PathOptions, ABC):
    """Builds the heads of a network, which has one of each for every task.

    Subclasses are built as ``Class(scales, **options)`` with ``scales`` the channels of the maps, finest first.

    Attributes:
        channels: C of the features F_n.
    """

    channels: int

    @abstractmethod
    def task_head(self) -> nn.Module:
        """A new module from a `Pyramid` to F_n ``(B, C, H_4, W_4)``."""

    @abstractmethod
    def auxiliary_head(self, regions: int) -> nn.Module:
        """A new module from a `Pyramid` to the logits A_n ``(B, regions, H_4, W_4)``.

        What it reads is detached, so the auxiliary losses do not reach the backbone. What it gives is not: where
        label contexts read it, the final loss does reach the head.
        """


HEADS: Registry[type[Heads]] = Registry("design of heads", "atrc.heads")
