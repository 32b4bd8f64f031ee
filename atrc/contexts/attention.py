"""The attention operations behind the contexts (Sec. 3.2), as plain functions of tensors.

Shapes: B batch, d attention channels, C features, R label regions, H x W the pixel grid, L = H * W pixels.
Suffixes name the dimensions: ``q_BdHW``.
Local attention has several implementations; they are in `atrc.contexts.local_attention`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = [
    "linear_attention",
    "prototype_attention",
    "region_prototypes",
    "spatial_softmax",
]


def linear_attention(q_BdHW: Tensor, k_BdHW: Tensor, v_BeHW: Tensor) -> Tensor:
    """Computes Eq. 3 with the linear kernel sim(q, k) = q . k, in O(L), since ``sum_j k_j v_j^T`` comes first.

    Queries and keys must be non-negative (they are outputs of a softplus).

    Returns:
        ``(B, e, H, W)``.
    """
    q_BdL, k_BdL, v_BeL = q_BdHW.flatten(2), k_BdHW.flatten(2), v_BeHW.flatten(2)
    s_Bed = _sum_over_pixels(v_BeL, k_BdL)
    z_B1d = k_BdL.sum(-1, keepdim=True).transpose(1, 2)
    out_BeL = (s_Bed @ q_BdL) / (z_B1d @ q_BdL).clamp_min(1e-12)
    return out_BeL.view(*v_BeHW.shape[:2], *q_BdHW.shape[2:])


def spatial_softmax(regions_BRHW: Tensor, valid_B1HW: Tensor | None = None) -> Tensor:
    """Computes the density of each label region over the pixels (Sec. 3.2.3): one softmax over space per region.

    Args:
        regions_BRHW: Auxiliary map, logits.
        valid_B1HW: Bool, False on padding, which then gets density 0. None: all pixels count. So it is in the paper's
            released code, too: its mask looks for pixels of value 255 in images that are already normalised, and
            finds none.

    Returns:
        ``(B, R, H, W)``; every region sums to 1 over the pixels.
    """
    logits = regions_BRHW.flatten(2)
    if valid_B1HW is not None:
        logits = logits.masked_fill(~valid_B1HW.flatten(2), -torch.inf)
    return torch.softmax(logits, dim=-1).view_as(regions_BRHW)


def region_prototypes(density_BRHW: Tensor, features_BCHW: Tensor) -> Tensor:
    """Computes Eq. 5: the mean feature of every region under its density, ``(B, C, R, 1)``."""
    prototypes_BCR = _sum_over_pixels(features_BCHW.flatten(2), density_BRHW.flatten(2))
    return prototypes_BCR.unsqueeze(-1)


def prototype_attention(q_BdHW: Tensor, k_BdR1: Tensor, v_BeR1: Tensor) -> Tensor:
    """Computes Eq. 2 with R prototypes instead of pixels: softmax(q k / sqrt(d)) v, ``(B, e, H, W)``."""
    q_BLd, k_BdR, v_BeR = q_BdHW.flatten(2).transpose(1, 2), k_BdR1.squeeze(-1), v_BeR1.squeeze(-1)
    weights_BLR = torch.softmax((q_BLd @ k_BdR) * q_BLd.shape[-1] ** -0.5, dim=-1)
    out_BeL = v_BeR @ weights_BLR.transpose(1, 2)
    return out_BeL.view(*v_BeR.shape[:2], *q_BdHW.shape[2:])


def _sum_over_pixels(a_BmL: Tensor, b_BnL: Tensor) -> Tensor:
    """Returns ``a b^T``, ``(B, m, n)``."""
    out: Tensor = _SumOverPixels.apply(a_BmL, b_BnL)
    return out


class _SumOverPixels(torch.autograd.Function):
    """A product whose gradients have the memory layout of its operands.

    The gradients of torch's product are transposed. The backward passes of earlier layers, softplus above all, take
    up to three times as long on them.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        out = a @ b.transpose(1, 2)
        ctx.save_for_backward(a.to(out.dtype), b.to(out.dtype))  # autocast may have chosen another type
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        a, b = ctx.saved_tensors
        return grad @ b, grad.transpose(1, 2) @ a
