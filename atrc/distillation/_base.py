"""What a distillation module is: it refines the features of every task before the final prediction layer."""

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

    Subclasses are built as ``Class(channels, **options)`` with ``channels`` a mapping task -> C.

    Attributes:
        region_tasks: The tasks whose auxiliary region map it reads. A network builds auxiliary heads for these only.
    """

    region_tasks: frozenset[str] = frozenset()

    @abstractmethod
    def forward(self, features: Features, regions: Features, valid: Tensor | None = None) -> dict[str, Tensor]:
        """Refined features.

        Args:
            features: F_n of every task.
            regions: A_n of at least `region_tasks`, ``(B, R_n, H, W)`` logits.
            valid: ``(B, 1, H, W)`` bool, False on padding; None: all pixels are image.
        """

    def fusion(self) -> list[nn.Module]:
        """The modules that join what several sources gave to a target, which resources list by themselves."""
        return []


def equal_channels(channels: Mapping[str, int], module: str) -> int:
    """C, where all tasks have the same.

    Raises:
        InputError: They have not.
    """
    if len(set(channels.values())) > 1:
        given = ", ".join(f"{task}: {width}" for task, width in channels.items())
        raise InputError(f"{module} combines channel by channel, and takes tasks of equal channels, but got {given}")
    return next(iter(channels.values()))


DISTILLATIONS: Registry[type[Distillation]] = Registry("distillation module", "atrc.distillation")
