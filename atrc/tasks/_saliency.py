"""Salient object detection: the pixels that a viewer looks at first."""

from __future__ import annotations

import numpy as np
from PIL import Image
from torch import Tensor

from atrc import metrics
from atrc.machine.tensors import full_precision
from atrc.tasks._base import IGNORE, TASKS, Task
from atrc.tasks._labels import check_class_map, check_weight
from atrc.tasks._losses import any_size, two_class_cross_entropy
from atrc.tasks._palette import IGNORED_GREY
from atrc.tasks._pictures import probability_picture

__all__ = ["Saliency"]


@TASKS.register("saliency")
class Saliency(Task):
    """Saliency, predicted as two classes that are weighted by the batch's share of background.

    Labels are ``(B, H, W)`` with 0 background, 1 salient, 255 ignored. Both losses are cross entropies with class
    weights ``(1 - w, w)``, where w is the share of background among the valid pixels of the current batch (of this
    process).

    Args:
        weight: Weight in the total loss.
        beta_squared: Weight of precision in the max F measure.

    Raises:
        InputError: A weight is not > 0.
    """

    name = "saliency"
    metric_name = "maxF"
    metric_unit = "%"
    higher_is_better = True
    fill = IGNORE
    channels = 2
    regions = 2

    def __init__(self, weight: float = 5.0, beta_squared: float = 0.3) -> None:
        self.weight = check_weight("weight", weight)
        self.beta_squared = check_weight("beta_squared", beta_squared)

    @any_size
    def loss(self, prediction: Tensor, label: Tensor) -> Tensor:
        negatives = (label == 0).sum() / (label != IGNORE).sum().clamp(min=1)
        return two_class_cross_entropy(prediction, label, negatives)

    @any_size
    def aux_loss(self, regions: Tensor, label: Tensor) -> Tensor:
        return self.loss(regions, label)

    def metric(self) -> metrics.MaxF:
        return metrics.MaxF(self.beta_squared, ignore=IGNORE)

    def decode(self, prediction: Tensor) -> Tensor:
        """Turns ``(B, 2, H, W)`` logits into the ``(B, H, W)`` probability of being salient."""
        return full_precision(prediction).softmax(1)[:, 1]

    def draw(self, label: np.ndarray) -> np.ndarray:
        """Draws salient pixels white, others black, probabilities in between; ignored pixels have their own grey."""
        grey = (np.clip(label, 0, 1) * 255.0).round()
        grey = np.where(label == IGNORE, IGNORED_GREY, grey).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=-1)

    def stored(self, label: np.ndarray) -> Image.Image:
        """Returns the probability as a 16-bit grey picture, 0..65535."""
        return probability_picture(label)

    def check_label(self, label: np.ndarray) -> str | None:
        return check_class_map(label, 2)
