"""Batch norms that are folded into the weights of the convolutions before them, with their gradients."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["Norms"]


class Norms:
    """Batch norms that are folded into the weights of their convolutions.

    ``y = scale * (W x - mean) + shift``, with ``scale = gain * inverse``, ``mean = W centre`` and ``variance = diag(W
    covariance W^T)``.

    Args:
        weight: W, ``(n, d, C)``.
        gain: ``(n, d)``.
        shift: ``(n, d)``.
        eps: Epsilon of the norms.
        moments: ``(n, C + 1, C + 1)`` second moments of the maps, whose last row is 1.
    """

    def __init__(self, weight: Tensor, gain: Tensor, shift: Tensor, eps: float, moments: Tensor) -> None:
        C = weight.shape[2]
        self.weight, self.gain = weight, gain
        self.centre = moments[:, :C, C]
        covariance = torch.baddbmm(moments[:, :C, :C], self.centre[:, :, None], self.centre[:, None, :], alpha=-1)
        self.spread = torch.bmm(weight, covariance)
        self.mean = torch.bmm(weight, self.centre[:, :, None])[..., 0]
        self.variance = (self.spread * weight).sum(2).clamp_min_(0)
        self.inverse = torch.rsqrt(self.variance + eps)
        scale = gain * self.inverse
        self.folded = torch.cat([weight * scale[:, :, None], (shift - self.mean * scale)[:, :, None]], dim=2)

    def backward(self, product: Tensor, pixels: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Computes the gradients of weight, gain and shift, and the part of the map's that passes the moments.

        Args:
            product: ``(n, d, C + 1)``, the gradient of y times the map, summed over images and pixels.
            pixels: B * P.

        Returns:
            The three gradients, and ``(n, C + 1, C + 1)``, which times the map is the fourth.
        """
        C = self.weight.shape[2]
        product, total = product[:, :, :C], product[:, :, C]
        scale = self.gain * self.inverse
        dscale = (self.weight * product).sum(2) - total * self.mean
        dvariance = (dscale * scale * self.inverse.square()).mul_(-1)  # twice the gradient
        dmean = -scale * total
        dweight = (scale[:, :, None] * product).addcmul_(dvariance[:, :, None], self.spread)
        dweight.baddbmm_(dmean[:, :, None], self.centre[:, None, :])
        back = self.weight.transpose(1, 2) / pixels
        through = product.new_zeros(len(back), C + 1, C + 1)
        linear = torch.bmm(back, dvariance[:, :, None] * self.weight)
        through[:, :C, :C] = linear
        through[:, :C, C] = (torch.bmm(back, dmean[:, :, None]) - torch.bmm(linear, self.centre[:, :, None]))[..., 0]
        return dweight, dscale * self.inverse, total, through
