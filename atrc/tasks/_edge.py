"""Boundary detection: semantic or occlusion edges, one pixel wide."""

from __future__ import annotations

import numpy as np
from PIL import Image
from torch import Tensor
from torch.nn import functional

from atrc import metrics
from atrc.machine.tensors import full_precision
from atrc.tasks._base import IGNORE, TASKS, Task
from atrc.tasks._labels import check_class_map, check_weight
from atrc.tasks._losses import any_size, expect_shape, mean_over, two_class_cross_entropy
from atrc.tasks._palette import IGNORED_GREY
from atrc.tasks._pictures import probability_picture
from searchspace.errors import InputError

__all__ = ["Edge"]

_INK = np.array([18.0, 22.0, 40.0])
_PAPER = np.array([255.0, 255.0, 255.0])


@TASKS.register("edge")
class Edge(Task):
    """Edges, predicted as one logit per pixel. Edge pixels have weight w, all others 1 - w.

    Labels are ``(B, H, W)`` with 0 no edge, 1 edge, 255 ignored. The loss is the weighted binary cross entropy. The
    auxiliary loss is the cross entropy of two classes with weights ``(1 - w, w)``. Both are sums divided by the
    number of valid pixels.

    Args:
        weight: Weight in the total loss.
        positive_weight: w, strictly inside 0..1: 0.8 on NYUD-v2, 0.95 on PASCAL-Context.
        max_distance: Tolerance of the metric as a share of the image diagonal: 0.011 on NYUD-v2, 0.0075 on
            PASCAL-Context.
        thresholds: Number of thresholds that the metric tries; fewer are faster.

    Raises:
        InputError: An argument is out of its range.
    """

    name = "edge"
    metric_name = "odsF"
    metric_unit = "%"
    higher_is_better = True
    fill = IGNORE
    channels = 1
    regions = 2

    def __init__(
        self,
        weight: float = 50.0,
        positive_weight: float = 0.8,
        max_distance: float = 0.011,
        thresholds: int = 99,
    ) -> None:
        self.weight = check_weight("weight", weight)
        if not 0 < positive_weight < 1:
            raise InputError(f"positive_weight must lie strictly between 0 and 1, got {positive_weight!r}")
        self.positive_weight = float(positive_weight)
        self.max_distance = max_distance
        self.thresholds = thresholds
        if not (0 <= max_distance < 1 and thresholds >= 1):
            self.metric()  # says what is wrong, at once instead of after an epoch; only metrics load torchmetrics

    def loss(self, prediction: Tensor, label: Tensor) -> Tensor:
        logits = full_precision(prediction).squeeze(1)
        expect_shape(logits, label)
        valid = label != IGNORE
        truth = (label == 1).to(logits.dtype)
        importance = truth * self.positive_weight + (1 - truth) * (1 - self.positive_weight)
        pixel = functional.binary_cross_entropy_with_logits(logits, truth, importance, reduction="none")
        return mean_over(valid, pixel)

    @any_size
    def aux_loss(self, regions: Tensor, label: Tensor) -> Tensor:
        return two_class_cross_entropy(regions, label, self.positive_weight)

    def metric(self) -> metrics.BoundaryF:
        return metrics.BoundaryF(self.max_distance, self.thresholds, ignore=IGNORE)

    def decode(self, prediction: Tensor) -> Tensor:
        """Turns ``(B, 1, H, W)`` logits into the ``(B, H, W)`` probability of an edge."""
        return full_precision(prediction).squeeze(1).sigmoid()

    def draw(self, label: np.ndarray) -> np.ndarray:
        """Draws edges dark on white, more probable edges darker; ignored pixels are grey."""
        strength = np.clip(label, 0, 1)[..., None]
        picture = _PAPER + strength * (_INK - _PAPER)
        return np.where((label == IGNORE)[..., None], IGNORED_GREY, picture).round().astype(np.uint8)

    def stored(self, label: np.ndarray) -> Image.Image:
        """Returns the probability as a 16-bit grey picture, 0..65535."""
        return probability_picture(label)

    def check_label(self, label: np.ndarray) -> str | None:
        return check_class_map(label, 2)
