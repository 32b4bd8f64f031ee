"""The interface of distillation modules, which refine the features of every task before the final prediction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from searchspace import InputError, Registry
from searchspace.paths import PathOptions

__all__ = ["DISTILLATIONS", "Distillation", "Features"]

Features = Mapping[str, Tensor]
"""Task name -> ``(B, C, H, W)``."""


class Distillation(nn.Module, PathOptions, ABC):
    """Refines task features; every task's output has the shape of its input.

    Subclasses are built as ``Class(channels, **options)``, where ``channels`` maps every task to its C.

    Attributes:
        region_tasks: Tasks whose auxiliary region map the module reads. A network builds auxiliary heads for these
            only.
    """

    region_tasks: frozenset[str] = frozenset()

    @abstractmethod
    def forward(self, features: Features, regions: Features, valid: Tensor | None = None) -> dict[str, Tensor]:
        """Returns the refined features.

        Args:
            features: Features F_n of every task n.
            regions: Region maps A_n of `region_tasks` or more tasks, ``(B, R_n, H, W)`` logits.
            valid: ``(B, 1, H, W)`` bool, False on padding; None if there is no padding.
        """

    def fusion(self) -> list[nn.Module]:
        """The modules that join what several sources gave to a target, which resources list by themselves."""
        return []


def equal_channels(channels: Mapping[str, int], module: str) -> int:
    """Returns C, which must be the same for all tasks.

    Raises:
        InputError: The tasks have different channels.
    """
    if len(set(channels.values())) > 1:
        given = ", ".join(f"{task}: {width}" for task, width in channels.items())
        raise InputError(f"{module} combines features channel by channel: tasks need equal channels, but got {given}")
    return next(iter(channels.values()))


DISTILLATIONS: Registry[type[Distillation]] = Registry("distillation module", "atrc.distillation")
