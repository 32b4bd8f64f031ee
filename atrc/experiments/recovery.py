"""Tests that networks and searches still learn what was planted. The test shows small changes of numerics.

::

    runs/recovery/CODE/matrix/planted-PLANTED/USED/seed0    a network that uses one context, where another was planted
    runs/recovery/CODE/PRESET/search/seed0                  a search on a planted problem

Changed code (`code_hash`) gets a folder of its own, since runs of the former code would prove nothing.

The networks of the matrix have two tasks, `a` and `b`, which both need one context of `a`: a block on the diagonal
and a block off the diagonal. Only these two blocks are on.
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
"""Suffixes of code files."""
SEARCHED = ("planted2", "planted2-labels", "planted4")
"""Presets of the searches."""


def code_hash(folders: Sequence[Path] | None = None) -> str:
    """Returns ten characters that change with the code of all packages of a run, and with the version of torch.

    Args:
        folders: Folders of packages; by default all that a run uses.
    """
    packages = [Path(package.__path__[0]) for package in (searchspace, strategies, atrc)]
    found = hashlib.sha256(torch.__version__.encode())
    for folder in packages if folders is None else folders:
        for file in sorted(folder.rglob("*")):
            if file.suffix in SOURCES:
                found.update(f"{file.relative_to(folder.parent)}\0".encode() + file.read_bytes())
    return found.hexdigest()[:10]


def matrix_runs(folder: Path, seeds: Sequence[int]) -> list[RunDirectory]:
    """Opens or makes the networks of all pairs of a planted and a used context.

    Args:
        folder: Folder of the runs.
        seeds: Seeds; every pair gets one network for each.

    Raises:
        InputError: An existing run has another config.
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
    """Returns the config with the first task's dots planted in a context for both tasks."""
    first, second = config.tasks
    own = {} if planted == "s_label" else {first: planted}  # which is t_label on the diagonal
    options = {**config.dataset.options, "answer": {first: own, second: {first: planted}}}
    dataset = Named(name=config.dataset.name, **options)
    return config.model_copy(update={"dataset": dataset, "name": f"planted-{planted}"})


def _only_from_first(space: Any, used: str) -> Genotype:
    """Returns the genotype with one context in both blocks that read the first task, and nothing in the others."""
    uniform, (first, *_) = space.matrix(space.uniform(used)), space.tasks
    return space.from_matrix(
        {
            target: {source: uniform[target][source] if source == first else NONE for source in row}
            for target, row in uniform.items()
        }
    )


def searched_runs(folder: Path, seeds: Sequence[int]) -> list[RunDirectory]:
    """Opens or makes the searches on planted problems; see `matrix_runs`."""
    planned, checks = [], Checks()
    for preset in SEARCHED:
        config = load_config(preset)
        checks.config(config)
        planned += [Planned(folder / preset, RunSpec("search", SEARCH, seed), config) for seed in seeds]
    return create_missing(planned, checks)
