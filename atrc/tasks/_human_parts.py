"""Human part segmentation on PASCAL-Context: background and six groups of parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from atrc.tasks._base import IGNORE, TASKS
from atrc.tasks._class_map import ClassMapTask

if TYPE_CHECKING:
    from atrc.metrics.mean_iou import AbsentClasses

__all__ = ["HumanParts"]

_PARTS = ("background", "head", "torso", "upper arms", "lower arms", "upper legs", "lower legs")


@TASKS.register("human_parts")
class HumanParts(ClassMapTask):
    """Human parts; see `ClassMapTask` for labels, losses and metric.

    Images and training crops without a person are ignored entirely, as in the paper's released code. Large
    augmentation scales give many such crops, which would teach little but background.
    """

    name = "human_parts"

    def __init__(
        self,
        classes: Sequence[str] | int = _PARTS,
        weight: float = 2.0,
        absent: AbsentClasses = "skip",
    ) -> None:
        super().__init__(classes, weight, absent)

    def crop_label(self, label: np.ndarray) -> np.ndarray:
        """Returns the crop if it shows a part (any class but 0); otherwise a crop in which every pixel is ignored."""
        shows_a_person = ((label != 0) & (label != IGNORE)).any()
        return label if shows_a_person else np.full_like(label, IGNORE)
