"""Tables 1 to 5 of the paper, filled from run directories, with the published numbers beside them.

A row's runs lie in ``RUNS/PRESET[+VARIANT]/MODEL/seedK``, which is where `atrc train`, `search` and `retrain` put
them. Delta_m compares with the single-task runs of the place's preset without a variant, as `analysis.multitask` does
by default: with each task's mean over seeds.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.load import SINGLE, TaskInfo
from analysis.multitask import spread
from analysis.paper.missing import DEFAULT_RUNS, Gap, Origin, commands, options
from analysis.paper.published import PublishedRow, PublishedTable, published_table
from atrc.config import import_plugins, load_config
from atrc.experiments import changed_keys
from atrc.metrics.delta_m import delta_m
from atrc.networks import lacks_weights
from atrc.runs import Result, RunDirectory
from atrc.runs.names import SEARCH, expand_models, group, run_path
from atrc.tasks import TASKS
from searchspace import InputError

__all__ = ["PaperTable", "paper_table"]

BASELINE = "single"
"""The row that all others are compared with: a run per task, whose resources are summed."""

Results = Mapping[int, Result]
"""Seed -> results of its run."""


@dataclass(frozen=True)
class _Model:
    """The finished runs of a model, and those that are missing."""

    results: Results
    gap: Gap

    def metrics(self, task: str) -> np.ndarray:
        return np.array([result.metrics[task] for result in self.results.values()])


@dataclass(frozen=True)
class _Row:
    """A row of the paper with its runs: of one model, or of one for every task."""

    published: PublishedRow
    origin: Origin
    models: Mapping[str, _Model]

    @property
    def is_baseline(self) -> bool:
        return self.published.model == BASELINE

    def of_task(self, task: str) -> _Model:
        return self.models[f"{SINGLE}{task}" if self.is_baseline else self.published.model]


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper, filled.

    Attributes:
        published: The published table.
        place: Data and backbone on which the rows were filled, a key of `PublishedTable.places`.
        source: The preset of that place.
        tasks: The place's tasks.
        frame: A row per row of the paper. ``label``, a column per mark (true or false), ``config``, ``model``; of our
            runs ``runs`` (finished ones; for the single-task row, the smallest number that a task has), ``missing``
            (seeds of the config that lack one), ``params_M`` and ``madds_G`` (millions and billions, means over
            runs), ``TASK_mean`` and ``TASK_std`` in the task's unit, ``delta_m_mean`` and ``delta_m_std`` in percent;
            of the paper ``paper_params_M``, ``paper_madds_G``, ``paper_TASK_mean``, ``paper_TASK_std``,
            ``paper_delta_m``; and ``scratch`` (whether our backbones begin with random weights where the paper's were
            pretrained). Every ``_std`` is the sample standard deviation over runs. What is not there is NaN.
        gaps: Runs that are missing.
        commands: Commands that make them, one after the other.
        fill: One command that makes all of them.
    """

    published: PublishedTable
    place: str
    source: str
    tasks: Mapping[str, TaskInfo]
    frame: pd.DataFrame
    gaps: tuple[Gap, ...]
    commands: tuple[str, ...]
    fill: str


def paper_table(
    number: int | str, place: str | None = None, runs: str | Path = DEFAULT_RUNS, overrides: Sequence[str] = ()
) -> PaperTable:
    """Fills a table from the runs that there are; there need not be any.

    Args:
        number: Number of the table, 1 to 5.
        place: Data and backbone on which the rows are filled, a key of `PublishedTable.places`; None for the paper's
            own.
        runs: Folder of the experiments.
        overrides: ``key=value`` that the runs were made with, beside the preset.

    Raises:
        InputError: An unknown table, place or key; a run that is broken, that was made with another config, or that
            is not what its folder says.
    """
    runs = Path(runs)
    published = published_table(number)
    place = published.own_place if place is None else place
    preset = published.preset(place)
    origins = {row.variant: _origin(preset, row, runs, overrides) for row in published.rows}
    import_plugins(origins[None].config)
    tasks = {name: _task_info(name) for name in origins[None].config.tasks}
    rows = [_read_row(row, origins[row.variant]) for row in published.rows]
    base = _baselines(rows, tasks)
    frame = pd.DataFrame([_cells(row, published, tasks, base) for row in rows])
    gaps = tuple(model.gap for row in rows for model in row.models.values() if model.gap.size)
    words = ["atrc", "table", str(published.number), "--on", place, *options("-s", overrides)]
    words += [] if runs == DEFAULT_RUNS else ["--runs", str(runs)]
    return PaperTable(
        published=published,
        place=place,
        source=preset,
        tasks=tasks,
        frame=frame,
        gaps=gaps,
        commands=tuple(commands(gaps)),
        fill=shlex.join([*words, "--fill"]),
    )


def _origin(preset: str, row: PublishedRow, runs: Path, overrides: Sequence[str]) -> Origin:
    source = _source(preset, row.variant)
    needs = None
    if row.branches is not None:
        # one tree for all seeds: a config names one
        search = load_config(_source(preset, row.branches), overrides)
        needs = run_path(runs / search.name, SEARCH, search.seeds[0]) / "genotype.json"
        overrides = [*overrides, f"backbone.branches={needs}"]
    config = load_config(source, overrides)
    return Origin(source, tuple(overrides), config, runs / config.name, needs)


def _source(preset: str, variant: str | None) -> str:
    return preset if variant is None else f"{preset}+{variant}"


def _task_info(name: str) -> TaskInfo:
    task = TASKS[name]
    return TaskInfo(name, task.metric_name, task.metric_unit, task.higher_is_better)


def _read_row(row: PublishedRow, origin: Origin) -> _Row:
    return _Row(row, origin, {model: _read(origin, model) for model in expand_models(origin.config, [row.model])})


def _read(origin: Origin, model: str) -> _Model:
    """Every finished run of a model, also of seeds that the config does not name."""
    results: dict[int, Result] = {}
    unfinished = []
    for path in sorted((origin.folder / group(model)).glob("seed*")):
        run = RunDirectory.open(path)
        _refuse_foreign(run, origin, model)
        if run.finished:
            results[run.spec.seed] = _result(run, model, origin)
        elif run.spec.seed in origin.config.seeds:
            unfinished.append(path)
    absent = [seed for seed in origin.config.seeds if not run_path(origin.folder, model, seed).exists()]
    gap = Gap(origin, model, tuple(unfinished), tuple(absent))
    return _Model(dict(sorted(results.items())), _with_searches(gap) if gap.retrains else gap)


def _with_searches(gap: Gap) -> Gap:
    """The gap of a retrained model, with the state of the searches that it waits for."""
    paths = {seed: run_path(gap.origin.folder, SEARCH, seed) for seed in gap.absent}
    runs = [RunDirectory.open(path) for path in paths.values() if path.exists()]
    for run in runs:
        _refuse_foreign(run, gap.origin, SEARCH)
    return replace(
        gap,
        searching=tuple(run.path for run in runs if not run.finished),
        unsearched=tuple(seed for seed, path in paths.items() if not path.exists()),
    )


def _refuse_foreign(run: RunDirectory, origin: Origin, model: str) -> None:
    if run.path != run_path(origin.folder, model, run.spec.seed) or run.spec.model != group(model):
        raise InputError(
            f"run {run.path} has the model {run.spec.model!r} and the seed {run.spec.seed}, but its folder is named "
            "for another run; move it away"
        )
    changed = changed_keys(run, origin.config)
    if changed:
        raise InputError(
            f"run {run.path} was made with another config than {origin.source} ({', '.join(changed)} changed); "
            "give the changes with --set, or another folder with --runs"
        )


def _result(run: RunDirectory, model: str, origin: Origin) -> Result:
    result = run.result()
    expected = [model.removeprefix(SINGLE)] if model.startswith(SINGLE) else list(origin.config.tasks)
    if lacking := [task for task in expected if task not in result.metrics]:
        raise InputError(f"run {run.path} has no metric of {', '.join(lacking)}; remove it, and train it again")
    return result


def _baselines(rows: Sequence[_Row], tasks: Iterable[str]) -> dict[str, float]:
    """Task -> mean of its single-task runs; nothing where Delta_m has nothing to compare with."""
    (row,) = (row for row in rows if row.is_baseline)
    base = {task: spread(row.of_task(task).metrics(task))[0] for task in tasks}
    return base if all(math.isfinite(value) and value != 0 for value in base.values()) else {}


def _cells(
    row: _Row, published: PublishedTable, tasks: Mapping[str, TaskInfo], base: Mapping[str, float]
) -> dict[str, object]:
    """A row of `PaperTable.frame`."""
    marks = {mark: mark in row.published.marks for mark in published.marks}
    return {
        "label": row.published.label,
        **marks,
        **_ours(row, tasks, base),
        **_theirs(published, row.published),
        "scratch": lacks_weights(row.origin.config),
    }


def _numbers(results: Mapping[int, Result], name: str) -> np.ndarray:
    return np.array([getattr(result, name) for result in results.values()], dtype=float)


def _ours(row: _Row, tasks: Mapping[str, TaskInfo], base: Mapping[str, float]) -> dict[str, object]:
    results = [model.results for model in row.models.values()]
    values = {task: row.of_task(task).metrics(task) for task in tasks}
    values["delta_m"] = _gains(row, tasks, base) if base else np.array([])
    cells: dict[str, object] = {
        "config": row.origin.source,
        "model": row.published.model,
        "runs": min(map(len, results)),
        "missing": sum(any(seed not in of for of in results) for seed in row.origin.config.seeds),
        "params_M": sum(spread(_numbers(of, "parameters") / 1e6)[0] for of in results),
        "madds_G": sum(spread(_numbers(of, "multiply_adds") / 1e9)[0] for of in results),
    }
    for name, array in values.items():
        cells[f"{name}_mean"], cells[f"{name}_std"], _ = spread(array)
    return cells


def _gains(row: _Row, tasks: Mapping[str, TaskInfo], base: Mapping[str, float]) -> np.ndarray:
    """Delta_m of every run in percent; of the baseline 0, by definition."""
    if row.is_baseline:
        return np.zeros(1)
    directions = {name: task.higher_is_better for name, task in tasks.items()}
    results = row.models[row.published.model].results.values()
    return np.array([delta_m({t: result.metrics[t] for t in tasks}, base, directions) for result in results])


def _theirs(published: PublishedTable, row: PublishedRow) -> dict[str, object]:
    cells: dict[str, object] = {}
    if published.resources:
        cells |= {"paper_params_M": row.parameters, "paper_madds_G": row.multiply_adds}
    stds = published.std(row)
    for task, mean in published.mean(row).items():
        cells[f"paper_{task}_mean"] = mean
        cells |= {f"paper_{task}_std": stds[task]} if stds else {}
    return cells | {"paper_delta_m": row.delta_m}
