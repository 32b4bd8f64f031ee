"""The second layers of projections, each of its own map: convolutions and norms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from atrc.contexts.projection._layers import numbers
from atrc.contexts.projection._norms import Norms
from atrc.contexts.projection._rows import Rows

__all__ = ["Own"]


class Own(torch.autograd.Function):
    """The second layers of all sections; with ``how``, a ReLU follows.

    Inputs are outputs of `Shared` that end in a row of ones. Returns ``(rows, d, P)`` for every section, then mean
    and variance ``(n, d)``.
    """

    @staticmethod
    def forward(
        ctx: Any,
        weight: Tensor,
        gain: Tensor,
        shift: Tensor,
        eps: float,
        rows: Sequence[Rows],
        how: bool,
        *inputs: Tensor,
    ) -> tuple[Tensor, ...]:
        pixels = rows[0].batch * inputs[0].shape[2]
        moments = torch.cat([of.summed(x, x) for of, x in zip(rows, inputs, strict=True)])
        norms = Norms(weight, gain, shift, eps, moments / pixels)
        folded = norms.folded.split(numbers(rows))
        outputs = [of.applied(w, x, relu=how) for of, w, x in zip(rows, folded, inputs, strict=True)]
        ctx.rows, ctx.relu, ctx.norms, ctx.pixels = rows, how, norms, pixels
        ctx.save_for_backward(*inputs, *(outputs if how else ()))
        variance = norms.variance * (pixels / (pixels - 1))
        ctx.mark_non_differentiable(norms.mean, variance)
        return (*outputs, norms.mean, variance)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        rows, norms, saved = ctx.rows, ctx.norms, ctx.saved_tensors
        inputs, outputs = saved[: len(rows)], saved[len(rows) :]
        before = list(grads[: len(rows)])
        if ctx.relu:
            relu_backward = torch.ops.aten.threshold_backward
            before = [relu_backward(grad, out, 0) for grad, out in zip(before, outputs, strict=True)]
        product = torch.cat([of.summed(grad, x) for of, grad, x in zip(rows, before, inputs, strict=True)])
        dweight, dgain, dshift, through = norms.backward(product, ctx.pixels)
        folded, sizes = norms.folded.transpose(1, 2), numbers(rows)
        dx = []
        for of, grad, x, w, into in zip(rows, before, inputs, folded.split(sizes), through.split(sizes), strict=True):
            dx.append(of.applied(into, x, of.applied(w, grad), add=True))
        return dweight, dgain, dshift, None, None, None, *dx
