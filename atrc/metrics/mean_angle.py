"""Mean angle between predicted and true surface normals over all valid pixels of the data set."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torchmetrics import Metric

from atrc.machine.kernels import compiled, compiles
from atrc.machine.threads import side_by_side
from atrc.metrics._pieces import pieces
from atrc.metrics.vectors import angle_between
from searchspace.errors import InputError

__all__ = ["MeanAngle"]

_KERNEL = Path(__file__).with_name("angle.c")


class MeanAngle(Metric):
    """Mean angular error in degrees (Sec. 4.1): one mean over all valid pixels, not a mean of images.

    A pixel is valid where the label is finite and not the zero vector. Only directions count, not lengths; a zero
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
        single = prediction.dtype == label.dtype == torch.float32
        if single and label.device.type == "cpu" and compiles(_KERNEL):
            found: Sequence[tuple[Tensor | float, Tensor | int]] = _sums(
                prediction.detach().contiguous(), label.contiguous()
            )
        else:
            found = [_sums_plainly(*piece) for piece in pieces(prediction.flatten(2), label.flatten(2))]
        for angle, pixels in found:
            self.angle += angle
            self.pixels += pixels

    def compute(self) -> Tensor:
        """Returns the mean angle in degrees, a scalar."""
        return self.angle / self.pixels


def _sums_plainly(prediction: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the sum of the angles in degrees over the valid pixels of maps ``(B, 3, N)``, and their number."""
    length = label.abs().sum(1)  # not finite if a part of it is not, and 0 only for the zero vector
    valid = (length > 0) & (length < torch.inf)
    angle = angle_between(prediction.double(), label.double(), 1)
    return torch.where(valid, angle, 0).sum(), valid.sum()


def _sums(prediction: Tensor, label: Tensor) -> Sequence[tuple[float, int]]:
    """Computes `_sums_plainly` of every image of maps ``(B, 3, H, W)`` in C, to a relative error of 1e-12."""
    function = compiled(_KERNEL).sum_of_angles
    function.restype = ctypes.c_int64
    pixels = ctypes.c_int64(label.shape[2] * label.shape[3])

    def one(index: int) -> tuple[float, int]:
        angle = ctypes.c_double()
        read = (ctypes.c_void_p(of[index].data_ptr()) for of in (prediction, label))
        counted: int = function(pixels, *read, ctypes.byref(angle))
        return math.degrees(angle.value), counted

    return side_by_side(one, range(len(label)))
