"""Many projections of one map at once, without a pass over memory for any of their batch norms.

A batch norm in training needs mean and variance of ``y = W x``. Both follow from the moments of x, which all
projections share: ``W mean(x)`` and ``diag(W cov(x) W^T)``. So the moments of the map are computed once, and every
norm is folded into its weights. A row of ones below the map turns the shift of a norm into one more weight. The
result is one large matrix product instead of many small ones, whose weight gradients run at a quarter of a CPU's
speed. The backward pass is written out for the same reason: the gradients through all statistics add up in one ``C x
C`` matrix.

Legend: B batch, P = H * W pixels, C channels of the map, d channels of a projection, n projections, N = B * P.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["project"]


def project(
    x_BCHW: Tensor, projections: Sequence[nn.Sequential], activation: Callable[[Tensor], Tensor]
) -> list[Tensor]:
    """Computes ``[projection(x) for projection in projections]``, activated, and updates the running statistics.

    Args:
        x_BCHW: Map that all projections read.
        projections: Modules ``conv - BN - ReLU`` or ``conv - BN - ReLU - conv - BN`` with 1x1 convolutions without
            bias. All norms have the same mode, momentum and epsilon.
        activation: Activation after projections of the second form, which do not end in one.

    Returns:
        ``(B, d, H, W)`` for every projection.
    """
    alike: dict[tuple[int, int], list[int]] = {}
    for index, projection in enumerate(projections):
        alike.setdefault((len(projection), _layers([projection], 0)[0][0].out_channels), []).append(index)
    x = x_BCHW.flatten(2)
    # the norms remove any constant; a map without its mean loses no digits to a large constant
    centre = x.detach().mean((0, 2))
    ones_below = torch.cat([x - centre[:, None], x.new_ones(len(x), 1, x.shape[2])], dim=1)[:, None]
    results: dict[int, Tensor] = {}
    for indices in alike.values():
        chosen = [projections[index] for index in indices]
        deep = len(chosen[0]) > 3
        outputs = _norm_convolutions(ones_below, _layers(chosen, 0), centre, relu=True, chained=deep)
        if deep:
            relu = activation is F.relu
            outputs = _norm_convolutions(outputs[0], _layers(chosen, 3), None, relu=relu, chained=False)
            if not relu:
                outputs = tuple(activation(out) for out in outputs)
        results.update(zip(indices, outputs, strict=True))
    return [results[index].unflatten(2, x_BCHW.shape[2:]) for index in range(len(projections))]


_Layer = tuple[nn.Conv2d, nn.BatchNorm2d]


def _layers(projections: Sequence[nn.Sequential], at: int) -> list[_Layer]:
    return [(projection[at], projection[at + 1]) for projection in projections]  # type: ignore[misc]


def _norm_convolutions(
    x: Tensor, layers: Sequence[_Layer], centre: Tensor | None, *, relu: bool, chained: bool
) -> tuple[Tensor, ...]:
    """Computes n convolutions of C -> d channels, each with its norm.

    Args:
        x: ``(B, 1, C + 1, P)``, one map for all, or ``(B, n, C + 1, P)``, one map for each; the last row of a map is
            1.
        layers: The convolutions and their norms.
        centre: ``(C,)`` constant that was subtracted from x, or None.
        relu: Whether a ReLU follows.
        chained: Whether another such layer follows.

    Returns:
        ``(B, d, P)`` for each layer; if chained, one ``(B, n, d + 1, P)`` with ones in the last row of a map.
    """
    norms = [norm for _, norm in layers]
    weight = torch.stack([conv.weight.flatten(1) for conv, _ in layers])
    gain = torch.stack([_or(norm.weight, weight[0, :, 0], 1.0) for norm in norms])
    shift = torch.stack([_or(norm.bias, weight[0, :, 0], 0.0) for norm in norms])
    if norms[0].training:
        *outputs, mean, variance = _NormConvolutions.apply(x, weight, gain, shift, norms[0].eps, relu, chained)
        count = x.shape[0] * x.shape[3]
        with torch.no_grad():
            _update(norms, mean if centre is None else mean + weight @ centre, variance * (count / (count - 1)))
        return tuple(outputs)
    mean, variance = (torch.stack([getattr(norm, f"running_{m}") for norm in norms]) for m in ("mean", "var"))
    scale = gain * torch.rsqrt(variance + norms[0].eps)
    if centre is not None:
        mean = mean - weight @ centre
    out = _product(_folded(weight, scale, shift - mean * scale, chained), x)
    return _given(out.relu() if relu else out, chained)


class _NormConvolutions(torch.autograd.Function):
    """The outputs of `_norm_convolutions`, then the batch mean and variance ``(n, d)`` of the convolutions."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, gain: Tensor, shift: Tensor, eps: float, relu: bool, chained: bool
    ) -> tuple[Tensor, ...]:
        C = weight.shape[2]
        moments = _outer(x, x) / (x.shape[0] * x.shape[3])
        centre = moments[:, :C, C]
        covariance = moments[:, :C, :C] - _rank_one(centre, centre)
        spread, mean = weight @ covariance, (weight @ centre[:, :, None])[..., 0]
        variance = (spread * weight).sum(2).clamp_min_(0)
        inverse = torch.rsqrt(variance + eps)
        scale = gain * inverse
        folded = _folded(weight, scale, shift - mean * scale, chained)
        out = _product(folded, x)
        if relu:
            out.relu_()
        ctx.save_for_backward(x, weight, gain, centre, spread, mean, inverse, folded, out if relu else None)
        ctx.chained = chained
        ctx.mark_non_differentiable(mean, variance)
        return (*_given(out, chained), mean, variance)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, gain, centre, spread, mean, inverse, folded, out = ctx.saved_tensors
        (B, groups, _, P), (n, d, C) = x.shape, weight.shape
        grad = _before_relu(grads[:1] if ctx.chained else grads[:n], out).view(B, groups, -1, P)
        product = _outer(grad, x).view(n, -1, C + 1)[:, :d]
        product, total = product[:, :, :C], product[:, :, C]
        # y = scale * (W x - mean) + shift, with scale = gain * inverse, mean = W centre, variance = diag(W cov W^T).
        scale = gain * inverse
        dscale = (weight * product).sum(2) - total * mean
        dvariance = -0.5 * dscale * gain * inverse**3
        dmean = -scale * total
        dweight = scale[:, :, None] * product + 2 * dvariance[:, :, None] * spread + _rank_one(dmean, centre)
        # The gradient that reaches the map through its moments: a part linear in the map, and a constant.
        back = weight.view(groups, -1, C).transpose(1, 2) / (B * P)
        through = folded.new_zeros(groups, C + 1, C + 1)
        linear = through[:, :C, :C] = back @ (2 * dvariance[:, :, None] * weight).view(groups, -1, C)
        through[:, :C, C] = (back @ dmean.view(groups, -1, 1) - linear @ centre[:, :, None])[..., 0]
        dx = _product(folded.view(groups, -1, C + 1).transpose(1, 2), grad)
        dx.flatten(0, 1).baddbmm_(_for_all(through, B), x.flatten(0, 1))
        return dx, dweight, dscale * inverse, total, None, None, None


def _folded(weight: Tensor, scale: Tensor, shift: Tensor, chained: bool) -> Tensor:
    """Returns ``(n, d, C + 1)``: ``scale * weight``, and the shift as the weight of the row of ones.

    If chained, every layer has one more row, which passes the ones on.
    """
    n, _, C = weight.shape
    last = weight.new_zeros(n, int(chained), C + 1)
    last[:, :, C] = 1
    return torch.cat([torch.cat([weight * scale[:, :, None], shift[:, :, None]], dim=2), last], dim=1)


def _product(weight: Tensor, x: Tensor) -> Tensor:
    """Multiplies ``(n, r, c)`` with ``(B, 1, c, P)`` or ``(B, n, c, P)`` -> ``(B, n, r, P)``."""
    B, groups, c, P = x.shape
    out = torch.bmm(_for_all(weight.reshape(groups, -1, c), B), x.flatten(0, 1))
    return out.view(B, len(weight), -1, P)


def _outer(a: Tensor, b: Tensor) -> Tensor:
    """Multiplies ``(B, g, r, P)`` with ``(B, g, c, P)`` -> ``(g, r, c)``, summed over images and pixels."""
    return torch.bmm(a.flatten(0, 1), b.flatten(0, 1).transpose(1, 2)).unflatten(0, a.shape[:2]).sum(0)


def _for_all(weight: Tensor, B: int) -> Tensor:
    """Repeats ``(g, r, c)`` for every image -> ``(B * g, r, c)``."""
    return weight.expand(B, *weight.shape).flatten(0, 1)


def _rank_one(a: Tensor, b: Tensor) -> Tensor:
    """Returns the outer products of ``(n, d)`` and ``(n, C)`` or ``(1, C)`` -> ``(n, d, C)``."""
    return a[:, :, None] * b[:, None, :]


def _given(out: Tensor, chained: bool) -> tuple[Tensor, ...]:
    return (out,) if chained else out.unbind(1)


def _before_relu(grads: Sequence[Tensor], out: Tensor | None) -> Tensor:
    """Returns the gradient ``(B, n, r, P)`` of the ReLU's input, from the gradients of its outputs."""
    if len(grads) == 1 and grads[0].dim() == 4:
        # in place: only the next such layer has used this gradient
        grad = grads[0]
        return grad if out is None else torch.ops.aten.threshold_backward.grad_input(grad, out, 0, grad_input=grad)
    if out is None:
        return torch.stack(list(grads), dim=1)
    joined = torch.empty_like(out)
    for i, grad in enumerate(grads):
        torch.ops.aten.threshold_backward.grad_input(grad, out[:, i], 0, grad_input=joined[:, i])
    return joined


def _or(parameter: Tensor | None, like: Tensor, otherwise: float) -> Tensor:
    """Returns the parameter of a norm; ``otherwise`` if it has none."""
    return torch.full_like(like, otherwise) if parameter is None else parameter


def _update(norms: Sequence[nn.BatchNorm2d], mean: Tensor, variance: Tensor) -> None:
    """Updates the running statistics of all norms from ``(n, d)`` batch statistics."""
    kept = [(norm.running_mean, norm.running_var, norm.num_batches_tracked) for norm in norms]
    means, variances, counts = (list(tensors) for tensors in zip(*kept, strict=True))
    momentum: Any = norms[0].momentum
    torch._foreach_lerp_(means, list(mean), momentum)
    torch._foreach_lerp_(variances, list(variance), momentum)
    torch._foreach_add_(counts, 1)
