"""``supergraph``: forward and backward of the search module alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from atrc.bench._base import BENCHMARKS, Case, Setting
from atrc.bench._module import REGIONS, Maps, build_module, contexts_of, sizes, step
from searchspace import Selection
from strategies import GumbelEntropy

__all__ = ["supergraph"]

_FORMS: dict[str, dict[str, Any]] = {
    "ours": {},
    "ours, checkpointed": {"checkpoint": True},
    "plain, our local attention": {"fused": False},
    "plain, tiled local attention": {"fused": False, "form": "tiled"},
    "plain, unfolded local attention": {"fused": False, "form": "unfold"},
}


@BENCHMARKS.register("supergraph")
def supergraph(setting: Setting) -> Iterator[Case]:
    """Times the search module of four tasks, forward and backward: in a search, and with all blocks fixed."""
    tasks = tuple(REGIONS)[:4]
    space = contexts_of(tasks)
    selections: dict[str, Callable[[], Selection]] = {
        "searching": GumbelEntropy(space).select,
        "blocks fixed": partial(Selection.of, space.sample(random.Random(0))),
    }
    for size in sizes(setting):
        modules = {name: build_module(tasks, setting, **options) for name, options in _FORMS.items()}
        maps = Maps.draw(tasks, setting, size)
        for title, select in selections.items():
            contenders = {name: partial(step, module, select, maps) for name, module in modules.items()}
            yield Case(f"{size[0]}x{size[1]}, {title}", contenders, reference="plain, unfolded local attention")
