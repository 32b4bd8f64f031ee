"""Rows of context-pooling blocks: the outputs of all blocks of a target, side by side in one map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from atrc.contexts.projection import Rows
from atrc.distillation._pooling import Call, Group, pool, recomputed

__all__ = ["Block", "pooled_rows"]


@dataclass(frozen=True)
class Block:
    """A block with what runs in it.

    Attributes:
        hidden: d, the channels of its output.
        calls: The contexts that run; without any, the output is 0.
        weights: Their weights, scalars; None for the constant 1.
        module: The module that has the contexts.
    """

    hidden: int
    calls: Sequence[Call]
    weights: Sequence[Tensor | None]
    module: nn.Module


Blocks = Mapping[tuple[str, str], Block]
"""Target and source -> block."""


def pooled_rows(
    blocks: Blocks,
    features: Mapping[str, Tensor],
    density: Mapping[str, Tensor],
    *,
    fused: bool,
    checkpoint: bool,
) -> dict[str, Tensor]:
    """Computes blocks.

    Args:
        blocks: The blocks, in the order of the rows.
        features: Task -> ``(B, C, H, W)``.
        density: Task -> region densities ``(B, R, H, W)``.
        fused: See `pool`.
        checkpoint: Whether the backward pass computes every block again, to save memory.

    Returns:
        Target -> the outputs of its blocks, weighted and summed, one behind the other: ``(B, blocks * d, H, W)``.
    """
    run = partial(_computed, features=features, density=density, fused=fused)
    if not checkpoint:
        return run(blocks)
    rows: dict[str, list[Tensor]] = {}
    for (target, source), block in blocks.items():
        alone = recomputed(partial(run, {(target, source): block}), block.module)
        rows.setdefault(target, []).append(alone[target])
    return {target: torch.cat(row, dim=1) for target, row in rows.items()}


def _computed(
    blocks: Blocks, features: Mapping[str, Tensor], density: Mapping[str, Tensor], *, fused: bool
) -> dict[str, Tensor]:
    rows: dict[str, list[Block]] = {}
    calls: list[Call] = []
    weights: list[Tensor | None] = []
    places: list[_Place] = []
    for (target, _), block in blocks.items():
        row = rows.setdefault(target, [])
        calls += block.calls
        weights += block.weights
        places += [_Place(target, len(row))] * len(block.calls)
        row.append(block)
    sizes = {target: (len(row), row[0].hidden) for target, row in rows.items()}
    mixed = _mix(pool(calls, features, density, fused=fused), places, sizes, weights) if calls else {}

    def output(target: str) -> Tensor:
        some, (number, hidden) = features[target], sizes[target]
        if target in mixed:
            return mixed[target].unflatten(2, some.shape[2:])
        return some.new_zeros(len(some), number * hidden, *some.shape[2:])

    return {target: output(target) for target in rows}


class _Place(NamedTuple):
    """The block of a call: its target, and its position in the target's row."""

    target: str
    position: int


class _Run(NamedTuple):
    """Outputs that lie one behind the other, and so do their blocks.

    Attributes:
        group: Number of the group.
        part: Number of the target within the group.
        outputs: The outputs, among those of the part.
        target: Name of the target.
        blocks: The blocks, among those of the row.
        weights: The weights, among those of all calls in the order of the groups.
    """

    group: int
    part: int
    outputs: slice
    target: str
    blocks: slice
    weights: slice


def _mix(
    groups: Sequence[Group],
    places: Sequence[_Place],
    rows: Mapping[str, tuple[int, int]],
    weights: Sequence[Tensor | None],
) -> dict[str, Tensor]:
    """Returns for every target the weighted sums of what its blocks compute, block after block.

    Args:
        groups: The outputs of all calls.
        places: The block of every call.
        rows: Target -> number of blocks, and d, the channels of each.
        weights: The weight of every call, a scalar; None for the constant 1.

    Returns:
        Target -> ``(B, blocks * d, P)``, for the targets with a call. A block without a call is 0.
    """
    in_order = [weights[i] for group in groups for numbers in group.calls.values() for i in numbers]
    runs = _runs(groups, places)
    sizes = {target: rows[target] for target in dict.fromkeys(run.target for run in runs)}
    outputs = [group.outputs for group in groups]
    mixed = _Mix.apply(_stacked(in_order, outputs[0]), runs, [group.rows for group in groups], sizes, *outputs)
    return dict(zip(sizes, mixed, strict=True))


def _stacked(weights: Sequence[Tensor | None], like: Tensor) -> Tensor | None:
    """Returns the weights as one tensor, with the type and the device of ``like``; None if all are 1."""
    given = next((weight for weight in weights if weight is not None), None)
    if given is None:
        return None
    one = torch.ones_like(given)
    return torch.stack([one if weight is None else weight for weight in weights]).to(like.device, like.dtype)


def _runs(groups: Sequence[Group], places: Sequence[_Place]) -> list[_Run]:
    runs, at = [], 0
    for g, group in enumerate(groups):
        for part, numbers in enumerate(group.calls.values()):
            start = 0
            for end in range(1, len(numbers) + 1):
                first, last = places[numbers[start]], places[numbers[end - 1]]
                if end < len(numbers) and places[numbers[end]] == (last.target, last.position + 1):
                    continue
                blocks = slice(first.position, last.position + 1)
                weights = slice(at, at + end - start)
                runs.append(_Run(g, part, slice(start, end), first.target, blocks, weights))
                start, at = end, weights.stop
    return runs


class _Mix(torch.autograd.Function):
    """`_mix`, with a backward pass that writes every gradient once."""

    @staticmethod
    def forward(
        ctx: Any,
        weights: Tensor | None,
        runs: Sequence[_Run],
        rows: Sequence[Rows],
        sizes: Mapping[str, tuple[int, int]],
        *outputs: Tensor,
    ) -> tuple[Tensor, ...]:
        parts = [of.split(x) for of, x in zip(rows, outputs, strict=True)]
        some = outputs[0]
        mixed = {
            target: some.new_empty(rows[0].batch, blocks, d, some.shape[2]) for target, (blocks, d) in sizes.items()
        }
        missing = {target: {*range(blocks)} for target, (blocks, _) in sizes.items()}
        for run in runs:
            x, out = parts[run.group][run.part][:, run.outputs], mixed[run.target][:, run.blocks]
            covered = {*range(run.blocks.start, run.blocks.stop)}
            if covered <= missing[run.target]:
                _scaled(x, weights, run, out)
            else:
                for i in covered & missing[run.target]:
                    mixed[run.target][:, i] = 0
                _add_scaled(x, weights, run, out)
            missing[run.target] -= covered
        for target, blocks in missing.items():
            for i in blocks:
                mixed[target][:, i] = 0
        ctx.runs, ctx.rows = runs, rows
        ctx.targets = list(sizes)
        ctx.save_for_backward(weights, *outputs)
        return tuple(x.flatten(1, 2) for x in mixed.values())

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        weights, *outputs = ctx.saved_tensors
        parts = [of.split(x) for of, x in zip(ctx.rows, outputs, strict=True)]
        slopes = [torch.empty_like(x) for x in outputs]
        of_parts = [of.split(x) for of, x in zip(ctx.rows, slopes, strict=True)]
        of_target = dict(zip(ctx.targets, grads, strict=True))
        of_weights = []
        for run in ctx.runs:
            x, dx = parts[run.group][run.part][:, run.outputs], of_parts[run.group][run.part][:, run.outputs]
            grad = of_target[run.target].unflatten(1, (-1, x.shape[2]))[:, run.blocks]
            if ctx.needs_input_grad[0]:
                of_weights.append((grad * x).sum((0, 2, 3)))
            _scaled(grad, weights, run, dx)
        return torch.cat(of_weights) if of_weights else None, None, None, None, *slopes


def _scaled(x: Tensor, weights: Tensor | None, run: _Run, out: Tensor) -> None:
    if weights is None:
        out.copy_(x)
    else:
        torch.mul(x, _of(weights, run), out=out)


def _add_scaled(x: Tensor, weights: Tensor | None, run: _Run, out: Tensor) -> None:
    if weights is None:
        out.add_(x)
    else:
        out.addcmul_(x, _of(weights, run))


def _of(weights: Tensor, run: _Run) -> Tensor:
    """Returns the weights of a run, ``(n, 1, 1)``."""
    return weights[run.weights, None, None]
