"""Many projections of several maps at once, without a pass over memory for any of their batch norms.

A batch norm in training needs mean and variance of ``y = W x``. Both follow from the moments of x, which all
projections of a map share: ``W mean(x)`` and ``diag(W cov(x) W^T)``. So the moments of every map are computed once,
and every norm is folded into its weights. A row of ones below the map turns the shift of a norm into one more weight.
The result is a few large matrix products instead of many small ones, whose weight gradients run at a quarter of a
CPU's speed. The backward pass is written out for the same reason: the gradients through all statistics add up in one
``C x C`` matrix.

Results lie in the order in which attention reads them, so nothing is copied between the two; see `Rows`.

Legend: B batch, P = H * W pixels, C channels of the maps, d channels of a projection, M maps, n projections.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atrc.layers import join

__all__ = ["Rows", "Section", "project"]


@dataclass(frozen=True)
class Rows:
    """The order of a tensor whose first dimension runs over maps, images, and the projections of a map.

    Attributes:
        counts: Number of projections of every map.
        batch: B, the number of images.
    """

    counts: tuple[int, ...]
    batch: int

    @cached_property
    def starts(self) -> list[int]:
        """The first row of every map, and the number of all rows."""
        starts = [0]
        for count in self.counts:
            starts.append(starts[-1] + count * self.batch)
        return starts

    def split(self, x: Tensor) -> list[Tensor]:
        """Returns ``(B, n, ...)`` of every map."""
        return [
            x[start:end].unflatten(0, (self.batch, count)) if count else x[start:end].unsqueeze(0)
            for start, end, count in zip(self.starts, self.starts[1:], self.counts, strict=False)
        ]

    def sum(self, x: Tensor) -> Tensor:
        """Sums over the images: ``(rows, ...)`` -> ``(projections, ...)``."""
        if len(set(self.counts)) == 1:
            return x.unflatten(0, (len(self.counts), self.batch, -1)).sum(1).flatten(0, 1)
        return torch.cat([part.sum(0) for part, count in zip(self.split(x), self.counts, strict=True) if count])

    def repeat(self, x: Tensor) -> Tensor:
        """Repeats for every image: ``(projections, ...)`` -> ``(rows, ...)``."""
        if len(set(self.counts)) == 1:
            of_map = x.unflatten(0, (len(self.counts), 1, -1))
            return of_map.expand(-1, self.batch, *of_map.shape[2:]).flatten(0, 2)
        parts = [part.expand(self.batch, *part.shape).flatten(0, 1) for part in x.split(self.counts) if len(part)]
        return torch.cat(parts)


@dataclass(frozen=True)
class Section:
    """Projections of one form, whose results lie in one tensor.

    Attributes:
        projections: For every map its projections: modules ``conv - BN - ReLU``, or ``conv - BN - ReLU - conv - BN``,
            with 1x1 convolutions without bias. All have the same number of channels.
        activation: Activation after projections of the second form, which do not end in one.
    """

    projections: tuple[tuple[nn.Sequential, ...], ...]
    activation: Callable[[Tensor], Tensor]

    @cached_property
    def all(self) -> list[nn.Sequential]:
        """The projections of all maps."""
        return [projection for of_map in self.projections for projection in of_map]

    @property
    def deep(self) -> bool:
        """Whether the projections are of the second form."""
        return len(self.all[0]) > 3

    def rows(self, batch: int) -> Rows:
        """Returns the order of the results."""
        return Rows(tuple(len(of_map) for of_map in self.projections), batch)


def project(maps: Sequence[Tensor], sections: Sequence[Section]) -> list[Tensor]:
    """Computes the projections of maps and updates the running statistics.

    Args:
        maps: ``(B, C, H, W)`` each, of one shape.
        sections: What to compute. All norms have the same mode, momentum and epsilon.

    Returns:
        For every section ``(rows, d, P)``, in the order of its `Section.rows`.
    """
    batch = len(maps[0])
    rows = [section.rows(batch) for section in sections]
    shared = _Layers([projection for section in sections for projection in section.all], 0)
    deep = [i for i, section in enumerate(sections) if section.deep]
    ones = [section.deep for section in sections]
    if shared.training:
        outputs = list(shared.normed(_Shared, rows, ones, *maps))
    else:
        outputs = _evaluated(shared, rows, ones, maps)
    for activation in dict.fromkeys(sections[i].activation for i in deep):
        chosen = [i for i in deep if sections[i].activation == activation]
        own = _Layers([projection for i in chosen for projection in sections[i].all], 3)
        relu = activation is F.relu
        if own.training:
            found: Sequence[Tensor] = own.normed(_Own, [rows[i] for i in chosen], relu, *(outputs[i] for i in chosen))
        else:
            found = _evaluated_own(own, [rows[i] for i in chosen], relu, [outputs[i] for i in chosen])
        for i, out in zip(chosen, found, strict=True):
            outputs[i] = out if relu else activation(out)
    return outputs


class _Layers:
    """Convolutions ``C -> d`` with their norms, at one place of many projections."""

    def __init__(self, projections: Sequence[nn.Sequential], at: int) -> None:
        self.norms: list[Any] = [projection[at + 1] for projection in projections]
        convolutions: list[Any] = [projection[at] for projection in projections]
        self.weight = join([conv.weight for conv in convolutions]).view(
            len(convolutions), -1, convolutions[0].in_channels
        )
        self.gain = self._all("weight", 1.0)
        self.shift = self._all("bias", 0.0)
        self.training = self.norms[0].training
        self.eps = self.norms[0].eps

    def _all(self, name: str, otherwise: float) -> Tensor:
        """Returns ``(n, d)``: a parameter of all norms; of a norm without it, ``otherwise``."""
        none = self.weight.new_full(self.weight.shape[1:2], otherwise)
        given = [getattr(norm, name) for norm in self.norms]
        return join([none if one is None else one for one in given]).view(len(given), -1)

    def normed(self, function: Any, rows: Sequence[Rows], how: Any, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Computes the layers in training mode and updates the running statistics."""
        *outputs, mean, variance = function.apply(self.weight, self.gain, self.shift, self.eps, rows, how, *inputs)
        kept = [(norm.running_mean, norm.running_var, norm.num_batches_tracked) for norm in self.norms]
        means, variances, counts = (list(tensors) for tensors in zip(*kept, strict=True))
        momentum: Any = self.norms[0].momentum
        with torch.no_grad():
            torch._foreach_lerp_(means, list(mean), momentum)
            torch._foreach_lerp_(variances, list(variance), momentum)
            torch._foreach_add_(counts, 1)
        return tuple(outputs)

    def folded(self) -> Tensor:
        """Returns ``(n, d, C + 1)``: the layers in evaluation mode."""
        mean, variance = (
            torch.stack([getattr(norm, f"running_{m}") for norm in self.norms]) for m in ("mean", "var")
        )
        scale = self.gain * torch.rsqrt(variance + self.eps)
        return torch.cat([self.weight * scale[:, :, None], (self.shift - mean * scale)[:, :, None]], dim=2)


class _Norms:
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


class _Shared(torch.autograd.Function):
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
        C = weight.shape[2]
        x, centre = _with_ones(maps)
        M, B, _, P = x.shape
        of = _maps_of(tuple(one.counts for one in rows), x.device)
        flat = x.flatten(0, 1)
        moments = torch.bmm(flat, flat.transpose(1, 2)).unflatten(0, (M, B)).sum(1) / (B * P)
        norms = _Norms(weight, gain, shift, eps, moments[of])
        last = weight.new_zeros(1, 1, C + 1)
        last[..., C] = 1
        outputs = _apply(norms.folded, last, rows, how, x)
        for out in outputs:
            out.relu_()
        ctx.rows, ctx.how, ctx.norms, ctx.of, ctx.last, ctx.sizes = rows, how, norms, of, last, maps[0].shape[2:]
        ctx.save_for_backward(x, *outputs)
        mean = norms.mean + torch.bmm(weight, centre[of][:, :, None])[..., 0]
        variance = norms.variance * (B * P / (B * P - 1))
        ctx.mark_non_differentiable(mean, variance)
        return (*outputs, mean, variance)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        x, *outputs = ctx.saved_tensors
        norms: _Norms = ctx.norms
        M, B, c, P = x.shape
        d, C = norms.weight.shape[1:]
        before = [_before_relu(grad, out, ones) for grad, out, ones in zip(grads, outputs, ctx.how, strict=False)]
        dx: Tensor = torch.empty_like(x)
        products, at = [], 0
        started = [False] * M
        for rows, ones, grad in zip(ctx.rows, ctx.how, before, strict=True):
            for m, (part, count) in enumerate(zip(rows.split(grad), rows.counts, strict=True)):
                if not count:
                    continue
                folded = _flat(norms.folded[at : at + count], ctx.last, ones)
                part = part.flatten(1, 2)
                product = torch.bmm(part, x[m].transpose(1, 2)).sum(0)
                products.append(product.view(count, -1, C + 1)[:, :d])
                back = folded.T.expand(B, -1, -1)
                if started[m]:
                    dx[m].baddbmm_(back, part)
                else:
                    torch.bmm(back, part, out=dx[m])
                started[m] = True
                at += count
        dweight, dgain, dshift, through = norms.backward(torch.cat(products), B * P)
        member = (ctx.of == torch.arange(M, device=x.device)[:, None]).to(x.dtype)  # a sum that repeats to the bit
        into = (member @ through.flatten(1)).view(M, 1, c, c).expand(M, B, c, c)
        dx.view(M * B, c, P).baddbmm_(into.flatten(0, 1), x.view(M * B, c, P))
        back_to_maps = [dx[m, :, :C].unflatten(2, ctx.sizes) for m in range(M)]
        return dweight, dgain, dshift, None, None, None, *back_to_maps


class _Own(torch.autograd.Function):
    """The second layers, each of its own map; with ``how``, a ReLU follows.

    Inputs are outputs of `_Shared` that end in a row of ones. Returns ``(rows, d, P)`` for every section, then mean
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
        moments = torch.cat([of.sum(torch.bmm(x, x.transpose(1, 2))) for of, x in zip(rows, inputs, strict=True)])
        norms = _Norms(weight, gain, shift, eps, moments / pixels)
        outputs = _apply_own(norms.folded, rows, inputs)
        if how:
            for out in outputs:
                out.relu_()
        ctx.rows, ctx.relu, ctx.norms, ctx.pixels = rows, how, norms, pixels
        ctx.save_for_backward(*inputs, *(outputs if how else ()))
        variance = norms.variance * (pixels / (pixels - 1))
        ctx.mark_non_differentiable(norms.mean, variance)
        return (*outputs, norms.mean, variance)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        rows, norms = ctx.rows, ctx.norms
        saved = ctx.saved_tensors
        inputs, outputs = saved[: len(rows)], saved[len(rows) :]
        before = list(grads[: len(rows)])
        if ctx.relu:
            before = [_before_relu(grad, out, False) for grad, out in zip(before, outputs, strict=True)]
        products = [torch.bmm(grad, x.transpose(1, 2)) for grad, x in zip(before, inputs, strict=True)]
        product = torch.cat([of.sum(one) for of, one in zip(rows, products, strict=True)])
        dweight, dgain, dshift, through = norms.backward(product, ctx.pixels)
        numbers = [sum(of.counts) for of in rows]
        dx = []
        for of, grad, x, folded, into in zip(
            rows, before, inputs, norms.folded.split(numbers), through.split(numbers), strict=True
        ):
            one = torch.bmm(of.repeat(folded).transpose(1, 2), grad)
            dx.append(one.baddbmm_(of.repeat(into), x))
        return dweight, dgain, dshift, None, None, None, *dx


def _with_ones(maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Returns the maps ``(M, B, C + 1, P)``, less their means, with a last row of ones, and the means ``(M, C)``.

    The norms remove any constant, and a map without its mean loses no digits to a large one.
    """
    B, C = maps[0].shape[:2]
    x = maps[0].new_ones(len(maps), B, C + 1, maps[0][0, 0].numel())
    centre = x.new_empty(len(maps), C)
    for m, one in enumerate(maps):
        flat = one.flatten(2)
        torch.mean(flat, (0, 2), out=centre[m])
        torch.sub(flat, centre[m][:, None], out=x[m, :, :C])
    return x, centre


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # an index made in inference mode could not be used in a later training step
def _maps_of(counts: tuple[tuple[int, ...], ...], device: torch.device) -> Tensor:
    """Returns the map ``(n,)`` of every projection, from the numbers of every section and map."""
    return torch.tensor([m for of in counts for m, count in enumerate(of) for _ in range(count)], device=device)


def _flat(folded: Tensor, last: Tensor, ones: bool) -> Tensor:
    """Returns weights ``(n * d, C + 1)``; with ``ones``, each projection has one more row, of ones."""
    if ones:
        folded = torch.cat([folded, last.expand(len(folded), -1, -1)], dim=1)
    return folded.flatten(0, 1)


def _apply(folded: Tensor, last: Tensor, rows: Sequence[Rows], ones: Sequence[bool], x: Tensor) -> list[Tensor]:
    """Multiplies the weights of every section with their maps."""
    outputs, at = [], 0
    for of, more in zip(rows, ones, strict=True):
        out = x.new_empty(of.starts[-1], folded.shape[1] + more, x.shape[3])
        for m, (part, count) in enumerate(zip(of.split(out), of.counts, strict=True)):
            if count:
                weight = _flat(folded[at : at + count], last, more).expand(of.batch, -1, -1)
                torch.bmm(weight, x[m], out=part.flatten(1, 2))
            at += count
        outputs.append(out)
    return outputs


def _apply_own(folded: Tensor, rows: Sequence[Rows], inputs: Sequence[Tensor]) -> list[Tensor]:
    """Multiplies the weights of every projection with its own map."""
    weights = folded.split([sum(of.counts) for of in rows])
    return [torch.bmm(of.repeat(weight), x) for of, weight, x in zip(rows, weights, inputs, strict=True)]


def _evaluated(layers: _Layers, rows: Sequence[Rows], ones: Sequence[bool], maps: Sequence[Tensor]) -> list[Tensor]:
    """Computes `_Shared` in evaluation mode, differentiable and traceable."""
    folded = layers.folded()
    C = folded.shape[2] - 1
    last = torch.eye(C + 1, dtype=folded.dtype, device=folded.device)[C:]
    maps = [torch.cat([x.flatten(2), torch.ones_like(x[:, :1]).flatten(2)], dim=1) for x in maps]
    outputs, at = [], 0
    for of, more in zip(rows, ones, strict=True):
        parts = []
        for x, count in zip(maps, of.counts, strict=True):
            if count:
                weight = _flat(folded[at : at + count], last[None], more)
                parts.append((weight @ x).relu().unflatten(1, (count, -1)).flatten(0, 1))
            at += count
        outputs.append(torch.cat(parts))
    return outputs


def _evaluated_own(layers: _Layers, rows: Sequence[Rows], relu: bool, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Computes `_Own` in evaluation mode, differentiable and traceable."""
    outputs = _apply_own(layers.folded(), rows, inputs)
    return [out.relu() for out in outputs] if relu else outputs


def _before_relu(grad: Tensor, out: Tensor, mine: bool) -> Tensor:
    """Returns the gradient of the ReLU's input; in place if only the next layer has used ``grad``."""
    if mine:
        return torch.ops.aten.threshold_backward.grad_input(grad, out, 0, grad_input=grad)
    return torch.ops.aten.threshold_backward(grad, out, 0)
