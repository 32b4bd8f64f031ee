"""Monocular depth in metres."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from atrc import metrics
from atrc.machine.tensors import full_precision
from atrc.tasks._base import IGNORE, TASKS, Task
from atrc.tasks._labels import check_weight, first_bad_pixel
from atrc.tasks._losses import any_size, cross_entropy, expect_shape, mean_over
from searchspace.errors import InputError

__all__ = ["Depth", "log_bins"]


def log_bins(depth: Tensor, bins: int, minimum: float, maximum: float) -> Tensor:
    """Returns the bin of every depth. Bins have equal width in log depth.

    The bin is ``floor(n ln(d / lo) / ln(hi / lo))``, clamped to 0..n-1.

    Args:
        depth: Metres, > 0, any shape.
        bins: n, the number of bins.
        minimum: lo, metres.
        maximum: hi, metres.

    Returns:
        int64 of the same shape.
    """
    position = bins * torch.log(depth / minimum) / math.log(maximum / minimum)
    return position.floor().clamp(0, bins - 1).long()


@TASKS.register("depth")
class Depth(Task):
    """Depth with the L1 loss; the auxiliary map classifies pixels into bins of log depth.

    Labels are ``(B, H, W)`` float metres. A pixel is valid where its label is finite and greater than 0.

    Args:
        weight: Weight in the total loss.
        minimum: Lower end of the first bin in metres, and of the colour scale of `draw`.
        maximum: Upper end of the last bin in metres, and of the colour scale of `draw`.
        bins: Number of bins, which are the regions of the auxiliary map.

    Raises:
        InputError: A weight is not > 0, the range is empty, or there are fewer than 2 bins.
    """

    name = "depth"
    metric_name = "RMSE"
    metric_unit = "m"
    higher_is_better = False
    fill = 0.0
    channels = 1

    def __init__(self, weight: float = 1.0, minimum: float = 0.7, maximum: float = 10.0, bins: int = 40) -> None:
        self.weight = check_weight("weight", weight)
        if not 0 < minimum < maximum < math.inf:
            raise InputError(f"0 < minimum < maximum must hold, got {minimum=}, {maximum=}")
        if not 2 <= bins <= IGNORE:
            raise InputError(f"bins must be 2..{IGNORE}, got {bins}")
        self.minimum = float(minimum)
        self.maximum = float(maximum)
        self.regions = bins

    def loss(self, prediction: Tensor, label: Tensor) -> Tensor:
        depth = full_precision(prediction).squeeze(1)
        expect_shape(depth, label)
        valid = _valid(label)
        return mean_over(valid, (depth - torch.where(valid, label, 0)).abs())

    @any_size
    def aux_loss(self, regions: Tensor, label: Tensor) -> Tensor:
        valid = _valid(label)
        bins = log_bins(torch.where(valid, label, self.minimum), self.regions, self.minimum, self.maximum)
        return cross_entropy(regions, torch.where(valid, bins, IGNORE))

    def metric(self) -> metrics.RootMeanSquareError:
        return metrics.RootMeanSquareError()

    def decode(self, prediction: Tensor) -> Tensor:
        """Turns ``(B, 1, H, W)`` output into ``(B, H, W)`` metres; negative output becomes 0."""
        return full_precision(prediction).squeeze(1).clamp(min=0)

    def draw(self, label: np.ndarray) -> np.ndarray:
        """Draws near pixels bright and far ones dark, in equal steps of log depth; invalid pixels are black.

        The scale always runs from `minimum` to `maximum`, so that pictures of different images, and of label and
        prediction, can be compared.
        """
        from matplotlib import colormaps  # deferred: only pictures need it

        valid = np.isfinite(label) & (label > 0)
        metres = np.where(valid, label, self.maximum).clip(self.minimum, self.maximum)
        far = np.log(metres / self.minimum) / math.log(self.maximum / self.minimum)
        picture = colormaps["viridis"](1 - far, bytes=True)[..., :3]
        return np.where(valid[..., None], picture, 0).astype(np.uint8)

    def rescale_label(self, label: np.ndarray, scale: float) -> np.ndarray:
        """Divides depth by ``scale``: the image was enlarged as if the camera had moved closer."""
        return label / label.dtype.type(scale)

    def check_label(self, label: np.ndarray) -> str | None:
        if label.ndim != 2:
            return f"shape is {label.shape}, expected (H, W)"
        if not np.issubdtype(label.dtype, np.floating):
            return f"values are {label.dtype}, expected floating-point metres"
        if (at := first_bad_pixel(~np.isfinite(label) | (label < 0))) is None:
            return None
        return f"depth {label[at]} at row {at[0]}, column {at[1]}, must be finite metres >= 0 (0 = invalid)"


def _valid(label: Tensor) -> Tensor:
    return label.isfinite() & (label > 0)
