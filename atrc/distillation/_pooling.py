"""Runs many contexts on the same features, one by one or fused: computations that they share are done once.

The contexts of N x N blocks project the same N feature maps hundreds of times, and attend in four ways. The fused
form passes all projections of all maps to `project`, and all contexts that are alike attend in one call. It computes
the prototypes of a label space for all sources in one product.

Both forms have the same parameters, buffers and results, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from atrc.contexts import Context
from atrc.contexts.attention import region_prototypes
from atrc.contexts.projection import Rows, Section, project, project_regions
from atrc.layers import Pointwise
from atrc.machine.tensors import full_precision, kept_tensor

__all__ = ["Call", "Group", "pool", "recomputed"]

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


@dataclass(frozen=True)
class Group:
    """The outputs of some calls, side by side.

    Attributes:
        calls: Target -> its calls in this group, as numbers in the list that `pool` was given.
        rows: The order of the outputs: over targets, images, and the calls of a target.
        outputs: ``(rows, d, P)``, where P = H * W.
    """

    calls: Mapping[str, Sequence[int]]
    rows: Rows
    outputs: Tensor


def pool(
    calls: Sequence[Call], features: Mapping[str, Tensor], density: Mapping[str, Tensor], *, fused: bool
) -> list[Group]:
    """Returns the outputs of all calls, in groups; ``fused`` does computations that they share once.

    Under autocast the fused form computes in single precision. Its moments need the digits, and it is faster than the
    plain form in bfloat16.
    """
    together = {i: call for i, call in enumerate(calls) if fused and _is_fusible(call.context)}
    groups: list[Group] = []
    if together:
        device = features[calls[0].target].device.type
        with torch.autocast(device, enabled=False):
            single = ({name: full_precision(x) for name, x in maps.items()} for maps in (features, density))
            groups = _fused(together, *single)
    for i, call in enumerate(calls):
        if i not in together:
            out = _run(call, features, density)
            groups.append(Group({call.target: (i,)}, Rows((1,), len(out)), out.flatten(2)))
    return groups


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


def _run(call: Call, features: Mapping[str, Tensor], density: Mapping[str, Tensor]) -> Tensor:
    out: Tensor = call.context(
        features[call.target], features[call.source], density[call.reads] if call.reads else None
    )
    return out


def _fused(calls: Mapping[int, Call], features: Mapping[str, Tensor], density: Mapping[str, Tensor]) -> list[Group]:
    """Computes contexts in the fused form.

    A context is fused if it has the projections of `Context` and overrides only `Context.attend`.
    """
    prototypes = _prototypes(calls.values(), features, density)
    kinds = _kinds(calls, features)
    wanted: dict[tuple[int, int], dict[tuple[int, str], Section]] = {}
    for k, kind in enumerate(kinds):
        wanted.setdefault((kind.widths[0], kind.hidden), {})[k, "query"] = kind.section("query", kind.of_target)
        if not kind.reads:
            for part in ("key", "value"):
                wanted.setdefault((kind.widths[1], kind.hidden), {})[k, part] = kind.section(part, kind.of_source)
    projected: dict[tuple[int, str], Tensor] = {}
    for (width, _), sections in wanted.items():
        maps = [x for x in features.values() if x.shape[1] == width]
        projected.update(zip(sections, project(maps, list(sections.values())), strict=True))
    groups = []
    for k, kind in enumerate(kinds):
        some = next(iter(features.values()))
        query = projected[k, "query"].unflatten(2, some.shape[2:])
        if kind.reads:
            key, value = kind.of_regions(prototypes)
        else:
            key, value = (projected[k, part].unflatten(2, some.shape[2:]) for part in ("key", "value"))
        if len(kind.calls) == 1:
            out = kind.context.attend(query, key, value)
        else:
            out = kind.context.attend_in_order(query, key, value, kind.order(len(some), some.device))
        rows = Rows(tuple(len(of) for of in kind.of_target.values()), len(some))
        groups.append(Group(kind.of_target, rows, out.flatten(2)))
    return groups


class _Kind:
    """Calls whose contexts attend together: alike, of equal widths, and with the same label regions.

    Args:
        calls: Number of a call -> the call.
        features: The maps by name.

    Attributes:
        calls: See above.
        widths: Channels of the maps of queries and of keys.
        hidden: Channels of the projections.
        of_target: Name of each map that the queries may be of -> numbers of the calls, in the order of the results.
        of_source: The same for the keys.
        context: One of the contexts.
        reads: Task whose regions the contexts read, or None.
    """

    def __init__(self, calls: Mapping[int, Call], features: Mapping[str, Tensor]) -> None:
        first = next(iter(calls.values()))
        self.calls, self.context, self.reads = calls, first.context, first.reads
        self.hidden = _hidden(first.context)
        self.widths = features[first.target].shape[1], features[first.source].shape[1]
        targets, sources = ([name for name, x in features.items() if x.shape[1] == width] for width in self.widths)
        self.of_target = {name: tuple(i for i, call in calls.items() if call.target == name) for name in targets}
        self.of_source = {name: tuple(i for i, call in calls.items() if call.source == name) for name in sources}

    def section(self, part: str, of_map: Mapping[str, Sequence[int]]) -> Section:
        """Returns the projections to ``query``, ``key`` or ``value``."""
        chosen = tuple(tuple(getattr(self.calls[i].context, part) for i in of) for of in of_map.values())
        return Section(chosen, self.context.activation)

    def of_regions(self, prototypes: Mapping[tuple[str | None, str], Tensor]) -> tuple[Tensor, Tensor]:
        """Returns keys and values ``(rows, d, R, 1)`` of label regions; rows run over images, then over calls."""
        chosen = [self.calls[i] for of in self.of_target.values() for i in of]
        keys_and_values = project_regions(
            torch.stack([prototypes[self.reads, call.source].squeeze(-1) for call in chosen], dim=1),
            [call.context.key for call in chosen],
            [call.context.value for call in chosen],
            self.context.activation,
        )
        key, value = (x.flatten(0, 1).unsqueeze(-1) for x in keys_and_values)
        return key, value

    def order(self, batch: int, device: torch.device) -> Tensor:
        """Returns the row of the keys for every row of the queries."""
        queries = tuple(self.of_target.values())
        keys = (tuple(i for of in queries for i in of),) if self.reads else tuple(self.of_source.values())
        return _order(queries, keys, batch, device)


@kept_tensor(256)
def _order(
    queries: tuple[tuple[int, ...], ...], keys: tuple[tuple[int, ...], ...], batch: int, device: torch.device
) -> Tensor:
    """Returns the row of the keys for every row of the queries; both are numbers of calls, map by map."""
    row = {name: i for i, name in enumerate(_names(keys, batch))}
    return torch.tensor([row[name] for name in _names(queries, batch)], device=device)


def _names(maps: tuple[tuple[int, ...], ...], batch: int) -> list[tuple[int, int]]:
    """Returns call and image of every row; see `Rows`."""
    return [(call, image) for of_map in maps for image in range(batch) for call in of_map]


def _kinds(calls: Mapping[int, Call], features: Mapping[str, Tensor]) -> list[_Kind]:
    alike: dict[Hashable, dict[int, Call]] = {}
    for i, call in calls.items():
        context = call.context
        widths = tuple(features[name].shape[1] for name in (call.target, call.source))
        alike.setdefault((_alike(context), context.activation, _hidden(context), widths, call.reads), {})[i] = call
    return [_Kind(members, features) for members in alike.values()]


def _hidden(context: Context) -> int:
    convolution: Any = context.value[0]
    return int(convolution.out_channels)


def _alike(context: Context) -> Hashable:
    """Returns `Context.alike`, unless a subclass has overridden `Context.attend` alone."""
    key = context.alike()
    defined = [next(kind for kind in type(context).__mro__ if name in vars(kind)) for name in ("attend", "alike")]
    return id(context) if key is None or defined[0] is not defined[1] else key


def _prototypes(
    calls: Iterable[Call], features: Mapping[str, Tensor], density: Mapping[str, Tensor]
) -> dict[tuple[str | None, str], Tensor]:
    """Returns ``(region task, source)`` -> ``(B, C, R, 1)`` for every read pair; a product per region task."""
    sources: dict[str, dict[str, None]] = {}
    for call in calls:
        if call.reads:
            sources.setdefault(call.reads, {})[call.source] = None
    found: dict[tuple[str | None, str], Tensor] = {}
    for regions, names in sources.items():
        stacked = torch.cat([features[name] for name in names], dim=1)
        parts = region_prototypes(density[regions], stacked).split([features[name].shape[1] for name in names], dim=1)
        found.update({(regions, name): part for name, part in zip(names, parts, strict=True)})
    return found


_LAYERS = (Pointwise, nn.BatchNorm2d, nn.ReLU, Pointwise, nn.BatchNorm2d)


def _is_fusible(context: Context) -> bool:
    """Returns whether a context does what `Context` does, but for `Context.attend`; it is asked in every step."""
    return (
        type(context).forward is Context.forward
        and not _has_hooks(context)
        and all(_is_standard(projection) for projection in (context.query, context.key, context.value))
    )


def _is_standard(projection: nn.Module) -> bool:
    """Returns whether a projection has exactly the layers that `Context` gave it, none of them replaced."""
    if type(projection) is not nn.Sequential or len(projection._modules) not in (3, 5) or _has_hooks(projection):
        return False
    for layer, kind in zip(projection._modules.values(), _LAYERS, strict=False):
        if type(layer) is not kind or _has_hooks(layer):
            return False
        if isinstance(layer, Pointwise) and layer.bias is not None:
            return False
        if isinstance(layer, nn.BatchNorm2d) and not (
            layer.momentum == 0.1
            and layer.eps == 1e-5
            and layer.track_running_stats
            and layer.training is projection.training
        ):
            return False
    return True


def _has_hooks(module: nn.Module) -> bool:
    """Returns whether the module has hooks, which see its calls only if it is called."""
    return bool(
        module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    )
