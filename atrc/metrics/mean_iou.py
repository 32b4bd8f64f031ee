"""Mean intersection over union, from the confusion matrix of the whole data set."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torchmetrics import Metric

from atrc.metrics._pieces import histogram, pieces
from searchspace.errors import InputError

__all__ = ["AbsentClasses", "MeanIoU"]

AbsentClasses = Literal["skip", "zero"]
"""Rule for classes that are neither predicted nor labelled anywhere: left out of the mean, or counted as 0."""


class MeanIoU(Metric):
    """mIoU in percent (Sec. 4.1).

    Intersections and unions are summed over the data set before they are divided. A class whose union is empty has no
    IoU. With ``absent="skip"`` the mean leaves it out. With ``absent="zero"`` it counts as 0, as in the authors'
    released code; then a perfect prediction of a split without that class scores below 100.

    Args:
        classes: Number of classes.
        absent: Rule for classes with an empty union.
        ignore: Label value of pixels that do not count.

    `compute` returns NaN if no class has a union (no valid pixel yet), unless ``absent="zero"``. On a GPU no value is
    read before it is called: it then refuses classes out of range, which `update` refuses on a CPU.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    confusion: Tensor
    lowest: Tensor
    highest: Tensor

    def __init__(self, classes: int, absent: AbsentClasses = "skip", ignore: int = 255) -> None:
        super().__init__()
        if classes < 2:
            raise InputError(f"mean IoU needs at least 2 classes, got {classes}")
        if absent not in ("skip", "zero"):
            raise InputError(f"absent must be 'skip' or 'zero', got {absent!r}")
        self.classes = classes
        self.absent = absent
        self.ignore = ignore
        nothing = torch.zeros((), dtype=torch.int64)
        self.add_state("confusion", torch.zeros(classes, classes, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("lowest", nothing.clone(), dist_reduce_fx="min")
        self.add_state("highest", nothing.clone(), dist_reduce_fx="max")

    def update(self, prediction: Tensor, label: Tensor) -> None:
        """Counts one batch.

        Args:
            prediction: ``(B, H, W)`` class indices.
            label: ``(B, H, W)`` class indices or `ignore`.

        Raises:
            InputError: A class index is out of range, or the shapes differ.
        """
        if prediction.shape != label.shape:
            raise InputError(f"prediction {tuple(prediction.shape)} and label {tuple(label.shape)} differ in shape")
        for guess, truth in pieces(prediction.flatten(), label.flatten()):
            self._count(guess.long(), truth.long())

    def _count(self, guess: Tensor, truth: Tensor) -> None:
        """Counts pixels ``(N,)``. Those that are ignored are counted behind the matrix, which needs no selection."""
        if not truth.numel():
            return
        valid = truth != self.ignore
        for of in (truth, guess):
            low, high = torch.where(valid, of, 0).aminmax()
            self.lowest = torch.minimum(self.lowest, low)
            self.highest = torch.maximum(self.highest, high)
        if truth.device.type == "cpu":
            self._refuse_out_of_range()
        behind = self.classes**2
        pairs = torch.where(valid, truth * self.classes + guess, behind).clamp_(0, behind)
        self.confusion += histogram(pairs, behind).view_as(self.confusion)

    def _refuse_out_of_range(self) -> None:
        low, high = int(self.lowest), int(self.highest)
        if low < 0 or high >= self.classes:
            raise InputError(
                f"class {low if low < 0 else high} is out of range: classes are 0..{self.classes - 1} "
                f"or {self.ignore} (ignored)"
            )

    def per_class(self) -> Tensor:
        """Returns the ``(classes,)`` IoU in percent over the data of this process; NaN where the union is empty."""
        return _iou(self.confusion)

    def compute(self) -> Tensor:
        """Returns the mean IoU in percent, a scalar.

        Raises:
            InputError: A class index was out of range.
        """
        self._refuse_out_of_range()
        iou = _iou(self.confusion)
        return iou.nan_to_num(0.0).mean() if self.absent == "zero" else iou.nanmean()


def _iou(confusion: Tensor) -> Tensor:
    """Computes the ``(C,)`` IoU in percent from a ``(C, C)`` confusion matrix (rows truth, columns prediction)."""
    hits = confusion.diagonal()
    unions = confusion.sum(0) + confusion.sum(1) - hits
    return 100 * hits.double() / unions.double()
