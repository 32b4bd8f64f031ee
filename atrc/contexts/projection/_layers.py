"""The layers of many projections as one, in training and in evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from atrc.contexts.projection._rows import Rows
from atrc.layers import join

__all__ = ["Layers", "evaluated_own", "evaluated_shared", "numbers", "with_ones"]


class Layers:
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


def evaluated_shared(
    layers: Layers, rows: Sequence[Rows], ones: Sequence[bool], maps: Sequence[Tensor]
) -> list[Tensor]:
    """Computes `Shared` in evaluation mode, differentiable and traceable."""
    below = [torch.cat([x.flatten(2), torch.ones_like(x[:, :1]).flatten(2)], dim=1) for x in maps]
    outputs = []
    for of, more, weights in zip(rows, ones, layers.folded().split(numbers(rows)), strict=True):
        chosen = zip(below, with_ones(weights, more).split(of.counts), strict=True)
        parts = [(w.flatten(0, 1) @ x).relu().unflatten(1, (len(w), -1)).flatten(0, 1) for x, w in chosen if len(w)]
        outputs.append(torch.cat(parts))
    return outputs


def evaluated_own(layers: Layers, rows: Sequence[Rows], relu: bool, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Computes `Own` in evaluation mode, differentiable and traceable."""
    outputs = []
    for of, x, weights in zip(rows, inputs, layers.folded().split(numbers(rows)), strict=True):
        blocks = zip(of.of_projections(weights), of.blocks(x), strict=True)
        out = torch.cat([(w.unsqueeze(1) @ one).flatten(0, 2) for w, one in blocks])
        outputs.append(out.relu() if relu else out)
    return outputs


def numbers(rows: Sequence[Rows]) -> list[int]:
    """Returns the number of projections of every section."""
    return [of.number for of in rows]


def with_ones(folded: Tensor, ones: bool) -> Tensor:
    """Returns weights ``(n, d, C + 1)``; with ``ones``, each projection has one more row, which passes ones on."""
    if not ones:
        return folded
    last = folded.new_zeros(len(folded), 1, folded.shape[2])
    last[..., -1] = 1
    return torch.cat([folded, last], dim=1)
