"""Base of the tasks that predict one of several classes at every pixel: semantic segmentation and human parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from torch import Tensor

from atrc import metrics
from atrc.tasks._base import IGNORE, Task
from atrc.tasks._enlarged import largest_classes
from atrc.tasks._labels import check_class_map, check_weight
from atrc.tasks._losses import any_size, cross_entropy
from atrc.tasks._palette import paint_classes
from atrc.tasks._pictures import index_picture
from searchspace.errors import InputError

if TYPE_CHECKING:
    from atrc.metrics.mean_iou import AbsentClasses

__all__ = ["ClassMapTask"]


class ClassMapTask(Task):
    """A task that predicts one of C classes at every pixel: cross entropy for both losses, mean IoU as the metric.

    Labels are ``(B, H, W)`` class indices with 255 = ignored.

    Args:
        classes: Class names in the order of their indices, or the number of classes (2..255).
        weight: Weight in the total loss.
        absent: Rule for classes without any pixel, see `atrc.metrics.MeanIoU`.

    Attributes:
        classes: Class names.

    Raises:
        InputError: There are too few or too many classes, a name twice, or a weight that is not > 0.
    """

    metric_name = "mIoU"
    metric_unit = "%"
    higher_is_better = True
    fill = IGNORE

    def __init__(self, classes: Sequence[str] | int, weight: float, absent: AbsentClasses = "skip") -> None:
        self.classes = _class_names(classes)
        self.channels = self.regions = len(self.classes)
        self.weight = check_weight("weight", weight)
        self.absent = absent
        if absent not in ("skip", "zero"):
            self.metric()  # says what is wrong, at once instead of after an epoch; only metrics load torchmetrics

    @any_size
    def loss(self, prediction: Tensor, label: Tensor) -> Tensor:
        return cross_entropy(prediction, label)

    @any_size
    def aux_loss(self, regions: Tensor, label: Tensor) -> Tensor:
        return cross_entropy(regions, label)

    def metric(self) -> metrics.MeanIoU:
        return metrics.MeanIoU(len(self.classes), absent=self.absent, ignore=IGNORE)

    def decode(self, prediction: Tensor) -> Tensor:
        """Turns ``(B, C, H, W)`` logits into ``(B, H, W)`` class indices, int64."""
        return prediction.max(1).indices  # on a CPU nine times as fast as argmax

    def decode_at(self, prediction: Tensor, size: tuple[int, ...]) -> Tensor:
        """Returns the ``(B, H, W)`` class indices of logits that are enlarged to ``size``; see `Task.decode_at`."""
        if type(self).decode is not ClassMapTask.decode:  # a subclass makes other maps
            return super().decode_at(prediction, size)
        return largest_classes(prediction, size)

    def draw(self, label: np.ndarray) -> np.ndarray:
        return paint_classes(label, len(self.classes))

    def stored(self, label: np.ndarray) -> Image.Image:
        """Returns an 8-bit picture of class indices. Its palette makes viewers show the colours of `draw`."""
        return index_picture(label, self.draw(np.arange(256)[None])[0])

    def check_label(self, label: np.ndarray) -> str | None:
        return check_class_map(label, len(self.classes))


def _class_names(classes: Sequence[str] | int) -> tuple[str, ...]:
    """Returns the names of the classes; if only their number is known, the names are numbers."""
    if isinstance(classes, str):
        raise InputError(f"classes must be a list of names or a count, got the text {classes!r}")
    names = tuple(f"class {index}" for index in range(classes)) if isinstance(classes, int) else tuple(classes)
    if not 2 <= len(names) <= IGNORE:
        raise InputError(f"classes must be 2..{IGNORE} in number, got {len(names)}")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"classes must have different names, but these come twice: {', '.join(twice)}")
    return names
