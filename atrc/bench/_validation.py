"""``validation``: the search module with one candidate per block, as in validation, against all candidates."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial

import torch

from atrc.bench._base import BENCHMARKS, Case, Setting
from atrc.bench._module import REGIONS, Maps, build_module, contexts_of, sizes
from atrc.distillation import Supergraph
from searchspace import Selection
from strategies import Categorical

__all__ = ["validation"]


@BENCHMARKS.register("validation")
def validation(setting: Setting) -> Iterator[Case]:
    """Times the search module of four tasks without gradients: at its argmax genotype, and mixing all candidates."""
    tasks = tuple(REGIONS)[:4]
    space = contexts_of(tasks)
    found = Selection.of(space.sample(random.Random(0)))
    uniform = Categorical(space)
    mixed = uniform.selection(uniform.probabilities.detach())
    for size in sizes(setting):
        fused = build_module(tasks, setting).eval()
        plain = build_module(tasks, setting, fused=False, form="unfold").eval()
        maps = Maps.draw(tasks, setting, size)
        contenders = {
            "argmax, ours": partial(_forward, fused, found, maps),
            "argmax, plain": partial(_forward, plain, found, maps),
            "all candidates, ours": partial(_forward, fused, mixed, maps),
            "all candidates, plain": partial(_forward, plain, mixed, maps),
        }
        yield Case(f"{size[0]}x{size[1]}", contenders, reference="all candidates, plain")


@torch.no_grad()
def _forward(module: Supergraph, selection: Selection, maps: Maps) -> None:
    module(maps.features, maps.regions, selection)
