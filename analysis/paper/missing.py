"""Runs that a table lacks, and the commands that make them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from atrc.config import Config
from atrc.experiments import Planned
from atrc.runs import RunSpec
from atrc.runs.names import RETRAIN, SEARCH, expand_models, group, run_path
from atrc.setup import Setup

__all__ = ["Gap", "Origin", "commands", "options", "planned"]

DEFAULT_RUNS = Path("runs")
"""Folder in which commands put an experiment, unless they are told another one."""


@dataclass(frozen=True)
class Origin:
    """Source of the runs of some rows: their config and folder.

    Attributes:
        source: Name of the config in commands: a preset, with its variants.
        overrides: Changes of it, ``key=value``.
        config: The config.
        folder: The experiment's folder.
        needs: A file that the config names, which runs of other rows write; None for none.
    """

    source: str
    overrides: tuple[str, ...]
    config: Config
    folder: Path
    needs: Path | None = None

    @property
    def ready(self) -> bool:
        """Whether what the config names is there."""
        return self.needs is None or self.needs.is_file()

    @property
    def arguments(self) -> list[str]:
        """The config and its overrides, as words of a command line."""
        return [self.source, *options("-s", self.overrides)]

    @property
    def out(self) -> list[str]:
        """The ``--out`` option, where runs would not go into the folder without it."""
        return [] if self.folder == DEFAULT_RUNS / self.config.name else ["-o", str(self.folder)]


@dataclass(frozen=True)
class Gap:
    """Runs of one model that a table wants, and that are not finished.

    Attributes:
        origin: Source of the runs.
        model: ``multi``, ``single-TASK``, ``retrain``, ...
        unfinished: Runs that began.
        absent: Seeds that have no run.
        searching: Unfinished searches of absent seeds, for a retrained model.
        unsearched: Absent seeds that have no search, for a retrained model.
    """

    origin: Origin
    model: str
    unfinished: tuple[Path, ...]
    absent: tuple[int, ...]
    searching: tuple[Path, ...] = ()
    unsearched: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Number of missing runs, without searches."""
        return len(self.unfinished) + len(self.absent)

    @property
    def retrains(self) -> bool:
        """Whether these runs train what searches found."""
        return self.model == RETRAIN


def options(name: str, values: Iterable[str]) -> list[str]:
    """A repeated option, as words of a command line."""
    return [word for value in values for word in (name, value)]


def planned(gaps: Iterable[Gap]) -> list[Planned]:
    """Runs that have not begun, for `atrc.experiments.create_missing`: networks, and searches for those retrained."""
    return [run for gap in gaps for run in _planned(gap)]


def _planned(gap: Gap) -> list[Planned]:
    folder, config = gap.origin.folder, gap.origin.config
    if gap.retrains:
        return [Planned(folder, RunSpec("search", SEARCH, seed), config) for seed in gap.absent]
    genotype = Setup.of(config).genotype(gap.model)
    return [Planned(folder, RunSpec("train", group(gap.model), seed), config, genotype) for seed in gap.absent]


def commands(gaps: Sequence[Gap]) -> list[str]:
    """Command lines that fill the gaps, to be run one after the other; nothing that is there is made again."""
    origins = {gap.origin.folder: gap.origin for gap in gaps}
    groups = [(origin, [gap for gap in gaps if gap.origin.folder == origin.folder]) for origin in origins.values()]
    begun = [path for origin, of in groups for path in _begun(origin.folder, of)]
    made = [words for origin, of in groups for words in (*_train(origin, of), *_search(of))]
    return [shlex.join(["atrc", *words]) for words in ([["resume", *begun]] if begun else []) + made]


def _begun(folder: Path, gaps: Sequence[Gap]) -> list[str]:
    """Paths for `atrc resume`: the folder, where nothing else in it is unfinished."""
    wanted = {path for gap in gaps for path in (*gap.unfinished, *gap.searching)}
    there = {file.parent for file in folder.glob("*/*/run.json") if not (file.parent / "result.json").exists()}
    return [str(folder)] if wanted and there == wanted else sorted(map(str, wanted))


def _train(origin: Origin, gaps: Sequence[Gap]) -> Iterator[list[str]]:
    """One command for all networks that lack the same seeds."""
    models: dict[tuple[int, ...], list[str]] = {}
    for gap in gaps:
        if gap.absent and not gap.retrains:
            models.setdefault(gap.absent, []).append(gap.model)
    for seeds, names in models.items():
        short = options("-m", _short(origin.config, names))
        yield ["train", *origin.arguments, *short, *_seeds(origin, seeds), *origin.out]


def _search(gaps: Sequence[Gap]) -> Iterator[list[str]]:
    """Searches for the seeds that have none, and what all of them found trained from scratch."""
    for gap in gaps:
        folder = gap.origin.folder
        if gap.unsearched:
            yield ["search", *gap.origin.arguments, *_seeds(gap.origin, gap.unsearched), *gap.origin.out]
        if gap.retrains and gap.absent:
            # the folder stands for every search in it, so that none of them may have been retrained
            every = list(gap.absent) == gap.origin.config.seeds and not (folder / RETRAIN).exists()
            paths = [folder / SEARCH] if every else [run_path(folder, SEARCH, seed) for seed in gap.absent]
            yield ["retrain", *map(str, paths)]


def _short(config: Config, models: Sequence[str]) -> list[str]:
    """The models, with ``single`` for the runs of all tasks."""
    single = expand_models(config, ["single"])
    if not set(single) <= set(models):
        return list(models)
    return ["single", *(model for model in models if model not in single)]


def _seeds(origin: Origin, seeds: Sequence[int]) -> list[str]:
    """The option for some of the config's seeds."""
    return [] if list(seeds) == origin.config.seeds else ["--seeds", ",".join(map(str, seeds))]
