"""``scaling``: growth of a search step's cost with tasks, resolution and batch."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from atrc.bench._base import BENCHMARKS, Case, Setting
from atrc.bench._module import REGIONS, Maps, build_module, contexts_of, step
from strategies import GumbelEntropy

__all__ = ["scaling"]

_MIDDLE = (4, (32, 40), 2)


@BENCHMARKS.register("scaling")
def scaling(setting: Setting) -> Iterator[Case]:
    """Times the search module, forward and backward, for 2..6 tasks, growing maps, and growing batches."""
    count, (height, width), batch = (2, (8, 10), 1) if setting.quick else _MIDDLE
    grown = 2 if setting.quick else 4
    points = [(tasks, 1.0, batch) for tasks in range(2, 3 if setting.quick else 7)]
    points += [(count, scale, batch) for scale in (0.5, 1.0, 2.0, 3.0)[:grown]]
    points += [(count, 1.0, batch * factor) for factor in (1, 2, 4, 8)[:grown]]
    for tasks_, scale, images in dict.fromkeys(points):
        tasks = tuple(REGIONS)[:tasks_]
        size = int(height * scale), int(width * scale)
        select = GumbelEntropy(contexts_of(tasks)).select
        maps = Maps.draw(tasks, setting, size, images)
        contenders = {
            name: partial(step, build_module(tasks, setting, fused=fused, form=form), select, maps)
            for name, (fused, form) in {"ours": (True, "auto"), "plain": (False, "tiled")}.items()
        }
        yield Case(
            f"{tasks_} tasks, {size[0]}x{size[1]}, batch {images}",
            contenders,
            reference="plain",
            point={"tasks": tasks_, "pixels": size[0] * size[1], "images": images},
        )
