"""Mean angle between predicted and true surface normals over all valid pixels of the data set."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from searchspace.errors import InputError

__all__ = ["MeanAngle", "angle_between", "unit_vectors"]


def unit_vectors(vectors: Tensor, dim: int = -1) -> Tensor:
    """Divides vectors along ``dim`` by their length; zeros stay zeros, with a gradient of zero through the length.

    This is ``torch.nn.functional.normalize``, but much faster across channels on a CPU.
    """
    return vectors * vectors.square().sum(dim, keepdim=True).clamp_min(1e-24).rsqrt()


def angle_between(first: Tensor, second: Tensor, dim: int = -1) -> Tensor:
    """Returns the angle in degrees, 0..180, between unit vectors along ``dim``.

    ``2 atan2(|p - t|, |p + t|)`` keeps full precision near 0 and 180, where the arc cosine of the inner product
    loses half of its digits.
    """
    apart, along = ((first + sign * second).square().sum(dim).sqrt() for sign in (-1, 1))
    return torch.rad2deg(2 * torch.atan2(apart, along))


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
