"""Does everything still learn what was planted? A test that small changes of numerics cannot hide from.

::

    runs/recovery/CODE/matrix/planted-PLANTED/USED/seed0    a network that uses one context, where another was planted
    runs/recovery/CODE/PRESET/search/seed0                  a search on a planted problem

Code that was changed (`code_hash`) has a folder of its own, since what the code of before made would prove nothing.

The networks of the matrix have two tasks, which both need one context of the first: `a` of itself, on the diagonal,
and `b` of another task, off it. Only these two blocks are on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

import atrc
import searchspace
import strategies
from atrc.config import Config, Named, load_config
from atrc.experiments._checks import Checks
from atrc.experiments._create import create_missing
from atrc.experiments.plan import Planned
from atrc.runs import RunDirectory, RunSpec
from atrc.runs.names import SEARCH
from atrc.setup import Setup
from searchspace import NONE, Genotype

__all__ = ["MATRIX", "SEARCHED", "code_hash", "matrix_runs", "searched_runs"]

MATRIX = "matrix"
"""The folder of the networks."""
SOURCES = {".py", ".c", ".h", ".yaml"}
"""What code is made of."""
SEARCHED = ("planted2", "planted2-labels", "planted4")
"""The presets that are searched."""


def code_hash(folders: Sequence[Path] | None = None) -> str:
    """Ten characters that change with the code that numbers come from, and with the version of torch.

    Args:
        folders: Packages; by default all that a run uses.
    """
    packages = [Path(package.__path__[0]) for package in (searchspace, strategies, atrc)]
    found = hashlib.sha256(torch.__version__.encode())
    for folder in packages if folders is None else folders:
        for file in sorted(folder.rglob("*")):
            if file.suffix in SOURCES:
                found.update(f"{file.relative_to(folder.parent)}\0".encode() + file.read_bytes())
    return found.hexdigest()[:10]


def matrix_runs(folder: Path, seeds: Sequence[int]) -> list[RunDirectory]:
    """The networks of every planted and every used context: those that are there, and new ones for the rest.

    Args:
        folder: Where the runs go.
        seeds: One network each.

    Raises:
        InputError: A run is there that was made with another config.
    """
    config = load_config("planted2")
    return create_missing(list(_planned(config, folder / MATRIX, seeds)))


def _planned(config: Config, folder: Path, seeds: Sequence[int]) -> Iterator[Planned]:
    space, checks = Setup.of(config).space, Checks()
    for planted in space.contexts:
        if planted == NONE:
            continue
        of = _with_answer(config, planted)
        checks.config(of)
        for used in space.contexts:
            genotype = _only_from_first(space, used)
            for seed in seeds:
                yield Planned(folder / of.name, RunSpec("train", used, seed), of, genotype)


def _with_answer(config: Config, planted: str) -> Config:
    """The config, where the first task's dots are planted in a context for both tasks."""
    first, second = config.tasks
    own = {} if planted == "s_label" else {first: planted}  # which is t_label on the diagonal
    options = {**config.dataset.options, "answer": {first: own, second: {first: planted}}}
    dataset = Named(name=config.dataset.name, **options)
    return config.model_copy(update={"dataset": dataset, "name": f"planted-{planted}"})


def _only_from_first(space: Any, used: str) -> Genotype:
    """One context in both blocks that read the first task, nothing in the others."""
    uniform, (first, *_) = space.matrix(space.uniform(used)), space.tasks
    return space.from_matrix(
        {
            target: {source: uniform[target][source] if source == first else NONE for source in row}
            for target, row in uniform.items()
        }
    )


def searched_runs(folder: Path, seeds: Sequence[int]) -> list[RunDirectory]:
    """The searches, as `matrix_runs` gives networks."""
    planned, checks = [], Checks()
    for preset in SEARCHED:
        config = load_config(preset)
        checks.config(config)
        planned += [Planned(folder / preset, RunSpec("search", SEARCH, seed), config) for seed in seeds]
    return create_missing(planned, checks)
