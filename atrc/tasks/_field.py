"""The tasks of `atrc.data.planted`: a map of real numbers, and a class map that defines its label regions."""

from __future__ import annotations

from string import ascii_lowercase

import numpy as np
import torch
from torch import Tensor

from atrc import metrics
from atrc.machine.tensors import full_precision
from atrc.tasks._base import IGNORE, TASKS, Task
from atrc.tasks._labels import check_class_map, check_weight
from atrc.tasks._losses import any_size, cross_entropy, expect_shape, mean_over
from searchspace.errors import InputError

__all__ = ["Field"]


class Field(Task):
    """A map of numbers with the squared error as loss; the auxiliary map classifies pixels into the label's classes.

    A problem may have many such tasks. They are registered under the letters ``a`` to ``z``.

    Labels are ``(B, 2, H, W)``. The first channel is the number to predict; it is not finite where there is none. The
    second channel is a class, 255 = ignore, which only the auxiliary loss reads.

    Args:
        weight: Weight in the total loss.
        region_weight: Weight of the auxiliary loss. At 1 it is too weak: training then prefers flat regions, for
            which label contexts act like the global context.
        classes: Number of classes, which are the regions of the auxiliary map.

    Raises:
        InputError: A weight is not > 0, or there are fewer than 2 classes.
    """

    name = "field"
    metric_name = "RMSE"
    metric_unit = ""
    higher_is_better = False
    fill = float("nan")
    channels = 1

    def __init__(self, weight: float = 1.0, region_weight: float = 10.0, classes: int = 4) -> None:
        self.weight = check_weight("weight", weight)
        self.region_weight = check_weight("region_weight", region_weight)
        if not 2 <= classes <= IGNORE:
            raise InputError(f"classes must be 2..{IGNORE}, got {classes}")
        self.regions = classes

    def loss(self, prediction: Tensor, label: Tensor) -> Tensor:
        value = full_precision(prediction).squeeze(1)
        expect_shape(value, label[:, 0])
        valid = label[:, 0].isfinite()
        return mean_over(valid, (value - torch.where(valid, label[:, 0], 0)).square())

    @any_size
    def aux_loss(self, regions: Tensor, label: Tensor) -> Tensor:
        classes = label[:, 1].nan_to_num(IGNORE)
        return self.region_weight * cross_entropy(regions, classes)

    def metric(self) -> metrics.RootMeanSquareError:
        return metrics.FirstChannelError()

    def decode(self, prediction: Tensor) -> Tensor:
        """Turns ``(B, 1, H, W)`` output into ``(B, 2, H, W)``: the number, and 255, since no class is predicted."""
        value = full_precision(prediction)
        return torch.cat((value, torch.full_like(value, IGNORE)), dim=1)

    def draw(self, label: np.ndarray) -> np.ndarray:
        """Draws the numbers from -3 (blue) through 0 (white) to 3 (red); black where there is none."""
        from matplotlib import colormaps  # deferred: only pictures need it

        value = label[..., 0]
        valid = np.isfinite(value)
        picture = colormaps["RdBu_r"]((np.where(valid, value, 0).clip(-3, 3) + 3) / 6, bytes=True)[..., :3]
        return np.where(valid[..., None], picture, 0).astype(np.uint8)

    def valid(self, label: np.ndarray) -> np.ndarray:
        """Returns the pixels that have a number, ``(H, W)`` bool."""
        return np.asarray(np.isfinite(label[..., 0]))

    def check_label(self, label: np.ndarray) -> str | None:
        if label.ndim != 3 or label.shape[2] != 2 or not np.issubdtype(label.dtype, np.floating):
            return f"it is {label.dtype} of shape {label.shape}, expected floating-point numbers (H, W, 2)"
        return check_class_map(np.nan_to_num(label[..., 1], nan=IGNORE), self.regions)


for _letter in ascii_lowercase:
    TASKS.register(_letter)(Field)
