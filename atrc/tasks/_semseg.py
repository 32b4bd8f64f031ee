"""Semantic segmentation: 40 classes on NYUD-v2, 21 on PASCAL-Context."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from atrc.tasks._base import TASKS
from atrc.tasks._class_map import ClassMapTask

if TYPE_CHECKING:
    from atrc.metrics.mean_iou import AbsentClasses

__all__ = ["SemSeg"]


@TASKS.register("semseg")
class SemSeg(ClassMapTask):
    """Semantic segmentation; see `ClassMapTask` for labels, losses and metric."""

    name = "semseg"

    def __init__(
        self,
        classes: Sequence[str] | int = 40,
        weight: float = 1.0,
        absent: AbsentClasses = "skip",
    ) -> None:
        super().__init__(classes, weight, absent)
