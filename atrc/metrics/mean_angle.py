"""Mean angle between predicted and true surface normals over all valid pixels of the data set."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from atrc.metrics.vectors import angle_between, unit_vectors
from searchspace.errors import InputError

__all__ = ["MeanAngle"]


class MeanAngle(Metric):
    """Mean angular error in degrees (Sec. 4.1): one mean over all valid pixels, not a mean of images.

    A pixel is valid where the label is finite and not the zero vector. Both vectors are normalised; a zero
    prediction counts as 90 degrees off. `compute` returns NaN as long as no pixel was valid.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False

    angle: Tensor
    pixels: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("angle", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("pixels", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, prediction: Tensor, label: Tensor) -> None:
        """Adds one batch.

        Args:
            prediction: ``(B, 3, H, W)`` normals of any length.
            label: ``(B, 3, H, W)`` normals; pixels with the zero vector do not count.

        Raises:
            InputError: The shapes differ or have no three channels.
        """
        if prediction.shape != label.shape or label.ndim != 4 or label.shape[1] != 3:
            raise InputError(
                f"normals must be (B, 3, H, W), got prediction {tuple(prediction.shape)} "
                f"and label {tuple(label.shape)}"
            )
        valid = label.isfinite().all(1) & (label != 0).any(1)
        angle = angle_between(unit_vectors(prediction.double(), 1), unit_vectors(label.double(), 1), 1)
        self.angle += torch.where(valid, angle, 0).sum()
        self.pixels += valid.sum()

    def compute(self) -> Tensor:
        """Returns the mean angle in degrees, a scalar."""
        return self.angle / self.pixels
