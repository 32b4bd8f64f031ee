"""The attention operations behind the contexts (Sec. 3.2), as plain functions of tensors.

Shapes: B batch, d attention channels, C features, R label regions, H x W the pixel grid, L = H * W pixels.
Suffixes name the dimensions: ``q_BdHW``.
Local attention has several implementations; they are in `atrc.contexts.local_attention`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from atrc.products import multiply, outer

__all__ = [
    "linear_attention",
    "prototype_attention",
    "region_prototypes",
    "spatial_softmax",
]


def linear_attention(q_BdHW: Tensor, k_BdHW: Tensor, v_BeHW: Tensor, order: Tensor | None = None) -> Tensor:
    """Computes Eq. 3 with the linear kernel sim(q, k) = q . k, in O(L), since ``sum_j k_j v_j^T`` comes first.

    Queries and keys must be non-negative (they are outputs of a softplus).

    Args:
        q_BdHW: Queries.
        k_BdHW: Keys.
        v_BeHW: Values.
        order: ``(B,)`` permutation: queries of image b attend to the keys of image ``order[b]``. None: of image b.

    Returns:
        ``(B, e, H, W)``.
    """
    out_BeL: Tensor = _LinearAttention.apply(q_BdHW.flatten(2), k_BdHW.flatten(2), v_BeHW.flatten(2), order)
    return out_BeL.view(*v_BeHW.shape[:2], *q_BdHW.shape[2:])


class _LinearAttention(torch.autograd.Function):
    """Linear attention whose sums over keys, of values and of ones, are one matrix ``(e + 1, d)`` per image."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, order: Tensor | None) -> Tensor:
        sums = torch.cat([_outer(v, k), k.sum(2).unsqueeze(1)], dim=1)
        if order is not None:
            sums = sums[order]
        both = multiply(sums, q)
        scale = both[:, -1:].clamp_min(_SMALLEST)
        out = both[:, :-1] / scale
        ctx.save_for_backward(q, k, v, sums, scale, out)
        ctx.order = order
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, sums, scale, out = ctx.saved_tensors
        both = grad.new_empty(len(grad), grad.shape[1] + 1, grad.shape[2])
        torch.div(grad, scale, out=both[:, :-1])
        torch.sum(both[:, :-1] * out, 1, keepdim=True, out=both[:, -1:])
        both[:, -1:].mul_((scale > _SMALLEST).to(grad.dtype).neg_())
        dq, dsums = multiply(sums.transpose(1, 2), both), _outer(both, q)
        if ctx.order is not None:
            dsums = torch.empty_like(dsums).index_copy_(0, ctx.order, dsums)
        dk = dsums[:, -1].unsqueeze(2).expand_as(k).contiguous()
        multiply(dsums[:, :-1].transpose(1, 2), v, dk, add=True)
        return dq, dk, multiply(dsums[:, :-1], k), None


_SMALLEST = 1e-12
"""The least sum of similarities that divides."""


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


def prototype_attention(q_BdHW: Tensor, k_BdR1: Tensor, v_BeR1: Tensor, order: Tensor | None = None) -> Tensor:
    """Computes Eq. 2 with R prototypes instead of pixels: softmax(q k / sqrt(d)) v, ``(B, e, H, W)``.

    Pixels stay the last dimension throughout, which is the one that processors read at once; R may be 2.

    Args:
        q_BdHW: Queries.
        k_BdR1: Keys.
        v_BeR1: Values.
        order: ``(B,)`` permutation: queries of image b attend to the keys of image ``order[b]``. None: of image b.
    """
    q_BdL, k_BdR, v_BeR = q_BdHW.flatten(2), k_BdR1.squeeze(-1), v_BeR1.squeeze(-1)
    if order is not None:
        k_BdR, v_BeR = k_BdR[order], v_BeR[order]
    out_BeL: Tensor = _PrototypeAttention.apply(q_BdL, k_BdR * k_BdR.shape[1] ** -0.5, v_BeR)
    return out_BeL.view(*v_BeR.shape[:2], *q_BdHW.shape[2:])


class _PrototypeAttention(torch.autograd.Function):
    """Softmax over regions, whose products run over pixels."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        weights = torch.softmax(multiply(k.transpose(1, 2), q), dim=1)
        ctx.save_for_backward(q, k, v, weights)
        return multiply(v, weights)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v, weights = ctx.saved_tensors
        slopes = multiply(v.transpose(1, 2), grad)
        slopes = torch.ops.aten._softmax_backward_data(slopes, weights, 1, weights.dtype)
        return multiply(k, slopes), _outer(q, slopes), _outer(grad, weights)


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
        out = _outer(a, b)
        ctx.save_for_backward(a.to(out.dtype), b.to(out.dtype))  # autocast may have chosen another type
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        a, b = ctx.saved_tensors
        return multiply(grad, b), multiply(grad.transpose(1, 2), a)


def _outer(a_BmL: Tensor, b_BnL: Tensor) -> Tensor:
    """Returns ``a b^T``, ``(B, m, n)``."""
    return outer(a_BmL.unsqueeze(1), b_BnL.unsqueeze(1))
