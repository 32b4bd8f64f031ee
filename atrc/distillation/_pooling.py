"""Runs many contexts on the same features, one by one or fused: computations that they share are done once.

The contexts of N x N blocks project the same N feature maps hundreds of times. The fused form passes all projections
of a map to `project`. It computes the prototypes of a label space for all sources in one product.

Both forms have the same parameters, buffers and results, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from atrc.contexts import Context
from atrc.contexts.attention import region_prototypes
from atrc.contexts.projection import project

__all__ = ["Call", "pool", "recomputed"]

Result = TypeVar("Result")


@dataclass(frozen=True)
class Call:
    """A context in a block.

    Attributes:
        context: The context that runs.
        target: Name of the target task.
        source: Name of the source task.
        reads: Task whose region densities the context reads, or None.
    """

    context: Context
    target: str
    source: str
    reads: str | None


def pool(
    calls: Sequence[Call], features: Mapping[str, Tensor], density: Mapping[str, Tensor], *, fused: bool
) -> list[Tensor]:
    """Returns the output ``(B, d, H, W)`` of every call; ``fused`` does computations that they share once.

    Under autocast nothing is fused, because the written-out gradients support one data type only.
    """
    if fused and calls and not torch.is_autocast_enabled(features[calls[0].target].device.type):
        return _fused(calls, features, density)
    return _one_by_one(calls, features, density)


def recomputed(run: Callable[[], Result], module: nn.Module) -> Result:
    """Returns ``run()`` and keeps only its result; the backward pass computes the intermediate values again.

    Args:
        run: Function that uses no norms except those of the module.
        module: Module whose norms count the batch only once, although ``run`` is called twice.
    """
    buffers = list(module.buffers())
    result: Result = checkpoint(run, use_reentrant=False, context_fn=lambda: (nullcontext(), _restored(buffers)))
    return result


@contextmanager
def _restored(buffers: Sequence[Tensor]) -> Iterator[None]:
    kept = [buffer.clone() for buffer in buffers]
    try:
        yield
    finally:
        for buffer, before in zip(buffers, kept, strict=True):
            buffer.copy_(before)


def _one_by_one(calls: Sequence[Call], features: Mapping[str, Tensor], density: Mapping[str, Tensor]) -> list[Tensor]:
    return [
        call.context(features[call.target], features[call.source], density[call.reads] if call.reads else None)
        for call in calls
    ]


def _fused(calls: Sequence[Call], features: Mapping[str, Tensor], density: Mapping[str, Tensor]) -> list[Tensor]:
    """Computes the results of `_one_by_one` in the fused form; contexts that cannot be fused run one by one.

    A context is fused if it has the projections of `Context` and overrides only `Context.attend`.
    """
    fusible = [call for call in calls if _is_fusible(call.context)]
    prototypes = _prototypes(fusible, features, density)
    readers: dict[tuple[str, Callable[[Tensor], Tensor]], list[nn.Sequential]] = {}
    for call in fusible:
        context = call.context
        readers.setdefault((call.target, context.activation), []).append(context.query)
        if not call.reads:
            readers.setdefault((call.source, context.activation), []).extend((context.key, context.value))
    projected: dict[nn.Sequential, Tensor] = {}
    for (name, activation), projections in readers.items():
        projected.update(zip(projections, project(features[name], projections, activation), strict=True))

    def output(call: Call) -> Tensor:
        context = call.context
        if context.query not in projected:
            return _one_by_one([call], features, density)[0]
        if call.reads:
            # fusing a few dozen regions is not worth it
            regions = prototypes[call.reads, call.source]
            key, value = context.activation(context.key(regions)), context.value(regions)
        else:
            key, value = projected[context.key], projected[context.value]
        return context.attend(projected[context.query], key, value)

    return [output(call) for call in calls]


def _prototypes(
    calls: Iterable[Call], features: Mapping[str, Tensor], density: Mapping[str, Tensor]
) -> dict[tuple[str, str], Tensor]:
    """Returns ``(region task, source)`` -> ``(B, C, R, 1)`` for every read pair; a product per region task."""
    sources: dict[str, dict[str, None]] = {}
    for call in calls:
        if call.reads:
            sources.setdefault(call.reads, {})[call.source] = None
    found: dict[tuple[str, str], Tensor] = {}
    for regions, names in sources.items():
        stacked = torch.cat([features[name] for name in names], dim=1)
        parts = region_prototypes(density[regions], stacked).split([features[name].shape[1] for name in names], dim=1)
        found.update({(regions, name): part for name, part in zip(names, parts, strict=True)})
    return found


def _is_fusible(context: Context) -> bool:
    if type(context).forward is not Context.forward or any(_has_hooks(m) for m in context.modules()):
        return False
    return all(_is_standard(projection) for projection in (context.query, context.key, context.value))


def _has_hooks(module: nn.Module) -> bool:
    """Returns whether the module has hooks, which see its calls only if it is called."""
    return bool(
        module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    )


_LAYERS = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Conv2d, nn.BatchNorm2d)


def _is_standard(projection: nn.Module) -> bool:
    """Returns whether a projection has exactly the layers that `Context` gave it, none of them replaced."""
    if type(projection) is not nn.Sequential or len(projection) not in (3, 5):
        return False
    if any(type(layer) is not kind for layer, kind in zip(projection, _LAYERS, strict=False)):
        return False
    return all(
        layer.momentum == 0.1
        and layer.eps == 1e-5
        and layer.track_running_stats
        and layer.training is projection.training
        for layer in projection
        if isinstance(layer, nn.BatchNorm2d)
    )
