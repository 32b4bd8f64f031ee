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
    """Returns the angle in degrees, 0..180, between vectors of any length, whose three parts lie along ``dim``.

    ``atan2(|p x t|, p . t)`` keeps full precision near 0 and 180, where the arc cosine of the inner product loses
    half of its digits. The angle to a zero vector is 90.
    """
    px, py, pz = first.unbind(dim)
    tx, ty, tz = second.unbind(dim)
    across = (px * ty - py * tx).square_()
    across += (py * tz - pz * ty).square_()
    across += (pz * tx - px * tz).square_()
    along = px * tx + py * ty + pz * tz
    # no direction at all is as far from the right one as from its opposite
    across += (across == 0) & (along == 0)
    return torch.atan2(across.sqrt_(), along).rad2deg_()
