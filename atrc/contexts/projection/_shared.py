"""The first layers of projections: many convolutions, norms and ReLUs on the same maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from atrc.contexts.projection._layers import numbers, with_ones
from atrc.contexts.projection._norms import Norms
from atrc.contexts.projection._rows import Rows
from atrc.machine.tensors import kept_tensor
from atrc.products import multiply, outer

__all__ = ["Shared"]


class Shared(torch.autograd.Function):
    """The first layers of all sections, a ReLU after each. ``how`` says which outputs end in a row of ones.

    Returns ``(rows, d, P)`` or ``(rows, d + 1, P)`` for every section, then mean and variance ``(n, d)``.
    """

    @staticmethod
    def forward(
        ctx: Any,
        weight: Tensor,
        gain: Tensor,
        shift: Tensor,
        eps: float,
        rows: Sequence[Rows],
        how: Sequence[bool],
        *maps: Tensor,
    ) -> tuple[Tensor, ...]:
        x, centre = _centred(maps)
        _, B, _, P = x.shape
        of = _maps_of(tuple(one.counts for one in rows), x.device)
        norms = Norms(weight, gain, shift, eps, (outer(x, x) / (B * P))[of])
        folded = [with_ones(part, more) for part, more in zip(norms.folded.split(numbers(rows)), how, strict=True)]
        outputs = []
        for one, weights in zip(rows, folded, strict=True):
            out = x.new_empty(B * one.number, weights.shape[1], P)
            for at, into, w in zip(one.maps, one.blocks(out), one.of_projections(weights), strict=True):
                multiply(w.flatten(1, 2).unsqueeze(1), x[at], into.flatten(2, 3), relu=True)
            outputs.append(out)
        ctx.rows, ctx.how, ctx.norms, ctx.of, ctx.folded, ctx.sizes = rows, how, norms, of, folded, maps[0].shape[2:]
        ctx.save_for_backward(x, *outputs)
        mean = norms.mean + torch.bmm(weight, centre[of][:, :, None])[..., 0]
        variance = norms.variance * (B * P / (B * P - 1))
        ctx.mark_non_differentiable(mean, variance)
        return (*outputs, mean, variance)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        x, *outputs = ctx.saved_tensors
        norms: Norms = ctx.norms
        M, B, c, P = x.shape
        d = norms.weight.shape[1]
        dx: Tensor = torch.empty_like(x)
        products: list[Tensor] = []
        reached = [False] * M
        for rows, ones, folded, grad, out in zip(ctx.rows, ctx.how, ctx.folded, grads, outputs, strict=False):
            # In place where it is safe: only the next layer has used the gradient of what ends in ones.
            before = torch.ops.aten.threshold_backward.grad_input(
                grad, out, 0, grad_input=grad if ones else torch.empty_like(grad)
            )
            for at, part, w in zip(rows.maps, rows.blocks(before), rows.of_projections(folded), strict=True):
                together = part.flatten(2, 3)
                products.append(outer(together, x[at]).view(-1, part.shape[3], c)[:, :d])
                back = w.flatten(1, 2).transpose(1, 2).unsqueeze(1)
                for m in _together(reached, at):
                    multiply(back[m], together[m], dx[at][m], add=reached[at][m.start])
                reached[at] = [True] * len(reached[at])
        for one, has in zip(dx, reached, strict=True):
            if not has:
                one.zero_()
        dweight, dgain, dshift, through = norms.backward(torch.cat(products), B * P)
        member = (ctx.of == torch.arange(M, device=x.device)[:, None]).to(x.dtype)  # a sum that repeats to the bit
        multiply((member @ through.flatten(1)).view(M, 1, c, c), x, dx, add=True)
        back_to_maps = [part.unflatten(2, ctx.sizes) for part in dx[:, :, : c - 1].unbind(0)]
        return dweight, dgain, dshift, None, None, None, *back_to_maps


def _together(reached: Sequence[bool], at: slice) -> list[slice]:
    """Splits maps so that each part has its first gradient now, or has had it."""
    some = reached[at]
    return [slice(0, len(some))] if len(set(some)) == 1 else [slice(m, m + 1) for m in range(len(some))]


def _centred(maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Returns the maps ``(M, B, C + 1, P)``, less their means, with a last row of ones, and the means ``(M, C)``.

    The norms remove any constant, and a map without its mean loses no digits to a large one.
    """
    B, C = maps[0].shape[:2]
    x = maps[0].new_ones(len(maps), B, C + 1, maps[0][0, 0].numel())
    torch.stack([one.flatten(2) for one in maps], out=x[:, :, :C])
    centre = x[:, :, :C].mean((1, 3))
    x[:, :, :C] -= centre[:, None, :, None]
    return x, centre


@kept_tensor(64)
def _maps_of(counts: tuple[tuple[int, ...], ...], device: torch.device) -> Tensor:
    """Returns the map ``(n,)`` of every projection, from the numbers of every section and map."""
    return torch.tensor([m for of in counts for m, count in enumerate(of) for _ in range(count)], device=device)
