"""Unit vectors and the angles between them."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["angle_between", "unit_vectors"]


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
