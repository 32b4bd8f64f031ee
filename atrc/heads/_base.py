"""The interface of heads, which compute a task's features and its region map from the maps of a backbone."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import nn

from searchspace import Registry
from searchspace.paths import PathOptions

__all__ = ["HEADS", "Heads"]


class Heads(PathOptions, ABC):
    """A builder of heads. A network has one task head and at most one auxiliary head for every task.

    Subclasses are built as ``Class(scales, **options)``, where ``scales`` are the channels of the maps, finest first.

    Attributes:
        channels: C, the channels of the features F_n.
    """

    channels: int

    @abstractmethod
    def task_head(self) -> nn.Module:
        """Returns a new module from a `Pyramid` to F_n ``(B, C, H_4, W_4)``."""

    @abstractmethod
    def auxiliary_head(self, regions: int) -> nn.Module:
        """Returns a new module from a `Pyramid` to the logits A_n ``(B, regions, H_4, W_4)``.

        Its input is detached, so the auxiliary losses do not reach the backbone. Its output is not detached, so the
        final loss reaches the head through label contexts.
        """


HEADS: Registry[type[Heads]] = Registry("design of heads", "atrc.heads")
