"""Human part segmentation on PASCAL-Context: background and six groups of parts."""

from __future__ import annotations

from collections.abc import Sequence

from atrc.metrics.mean_iou import AbsentClasses
from atrc.tasks._base import TASKS
from atrc.tasks._class_map import ClassMapTask

__all__ = ["HumanParts"]

_PARTS = ("background", "head", "torso", "upper arms", "lower arms", "upper legs", "lower legs")


@TASKS.register("human_parts")
class HumanParts(ClassMapTask):
    """Human parts; see `ClassMapTask` for labels, losses and metric. Images without a person are all ignored."""

    name = "human_parts"

    def __init__(
        self,
        classes: Sequence[str] | int = _PARTS,
        weight: float = 2.0,
        absent: AbsentClasses = "skip",
    ) -> None:
        super().__init__(classes, weight, absent)
