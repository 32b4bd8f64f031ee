"""No distillation: the single-task and the multi-task baseline."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from atrc.distillation._base import DISTILLATIONS, Distillation, Features

__all__ = ["NoDistillation"]


@DISTILLATIONS.register("none")
class NoDistillation(Distillation):
    """Returns the features as they are."""

    def __init__(self, channels: Mapping[str, int]) -> None:
        super().__init__()

    def forward(self, features: Features, regions: Features, valid: Tensor | None = None) -> dict[str, Tensor]:
        return dict(features)
