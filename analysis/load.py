"""Run directories as one table: a row per finished run.

Everything else in this package starts from `load_runs`. Unfinished runs are counted and named, never used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import pandas as pd

from analysis.recipes import Recipe, recipe
from atrc.config import import_plugins, ships
from atrc.runs import Result, RunDirectory, find_runs
from atrc.tasks import TASKS
from searchspace import Genotype, InputError

__all__ = ["FACTS", "SINGLE", "Runs", "TaskInfo", "load_runs", "once"]

F = TypeVar("F", bound=Callable[..., Any])

FACTS = ("experiment", "kind", "model", "seed", "path")
"""Columns that identify a run."""

COSTS = ("steps", "samples", "seconds", "parameters", "multiply_adds")
"""Columns of costs; `atrc.runs.Result` defines them."""

SINGLE = "single-"
"""Prefix of the single-task baselines' names."""

_RANKS = {"multi": 1, "search": 4, "retrain": 5, "consensus": 6}
_PREFIX_RANKS = {SINGLE: 0, "all-": 2}


@dataclass(frozen=True)
class TaskInfo:
    """Names, unit and direction of a task for tables and axes, as its class gives them.

    Attributes:
        name: The registered name.
        metric: Short name of the metric, e.g. ``"mIoU"``.
        unit: Unit of the metric, e.g. ``"%"``; may be empty.
        higher_is_better: The metric's direction.
    """

    name: str
    metric: str
    unit: str
    higher_is_better: bool

    @property
    def title(self) -> str:
        """The name as a person writes it."""
        return self.name.replace("_", " ")

    @property
    def label(self) -> str:
        """Metric, unit and direction, e.g. ``"mIoU [%] ↑"``."""
        unit = f" [{self.unit}]" if self.unit else ""
        return f"{self.metric}{unit} {'↑' if self.higher_is_better else '↓'}"


@dataclass(frozen=True)
class Runs:
    """The runs of one or several experiments on the same tasks.

    Attributes:
        frame: One row per finished run: ``experiment``, ``kind``, ``model``, ``seed``, ``path``, one column per task
            with its validation metric in the task's unit (missing where a run has none, as single-task runs do),
            ``steps``, ``samples``, ``seconds``, ``parameters``, ``multiply_adds``. Sorted by experiment, model
            (single-task in the tasks' order, multi-task, uniform contexts, others, search, retrain, consensus) and
            seed.
        tasks: Task name -> its names, unit and direction, in the config's order.
        genotypes: ``path`` -> genotype, for the runs that have one.
        directories: ``path`` -> run directory.
        configs: ``experiment`` -> its config as commands take it: a preset, or the file in one of its runs.
        unfinished: Paths of the runs without a result.
        seeds: ``experiment`` -> all seeds that its runs, unfinished ones too, and their configs name, sorted.
        recipes: ``path`` -> everything that the run's numbers depend on, except the seed; see
            `analysis.recipes.recipe`.
    """

    frame: pd.DataFrame
    tasks: Mapping[str, TaskInfo]
    genotypes: Mapping[str, Genotype]
    directories: Mapping[str, RunDirectory]
    configs: Mapping[str, str]
    unfinished: tuple[Path, ...] = ()
    seeds: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    kept: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What functions that are marked with `once` found."""

    @classmethod
    def none(cls) -> Runs:
        """Returns an empty table."""
        return cls(pd.DataFrame(columns=[*FACTS, *COSTS]), {}, {}, {}, {})

    @property
    def experiments(self) -> list[str]:
        """Names of the experiments, in the frame's order."""
        return list(dict.fromkeys(self.frame["experiment"]))

    @property
    def multi_task(self) -> pd.DataFrame:
        """The rows of all runs but the single-task ones."""
        return self.frame[~self.frame["model"].str.startswith(SINGLE)]

    def searches(self, experiment: str) -> pd.DataFrame:
        """The rows of an experiment's searches that name a genotype, by seed."""
        rows = self.frame[(self.frame["experiment"] == experiment) & (self.frame["kind"] == "search")]
        return rows[rows["path"].isin(list(self.genotypes))]

    def found(self, experiment: str) -> dict[str, Genotype]:
        """Genotypes that an experiment's searches found: ``"seed 0"`` -> genotype.

        The model's name is added where several kinds of search are in one experiment.
        """
        rows = self.searches(experiment)
        several = rows["model"].nunique() > 1
        return {
            f"{row['model']} seed {row['seed']}" if several else f"seed {row['seed']}": self.genotypes[row["path"]]
            for row in rows.to_dict("records")
        }


def once(function: F) -> F:
    """Decorates a function of runs, and of names and flags: what it found is kept with the runs, and not found again.

    A table is given as a copy, so that a caller may change it. Anything else must not be changed.
    """

    @wraps(function)
    def found(runs: Runs, *arguments: Hashable, **named: Hashable) -> Any:
        key = (function, arguments, tuple(sorted(named.items())))
        if key not in runs.kept:
            runs.kept[key] = function(runs, *arguments, **named)
        value = runs.kept[key]
        return value.copy() if isinstance(value, pd.DataFrame) else value

    return cast(F, found)


def load_runs(paths: str | Path | Iterable[str | Path]) -> Runs:
    """Reads every run in the given directories and below them.

    Args:
        paths: Run directories, or directories that hold some at any depth; one or several. A run that is reached
            twice counts once.

    Raises:
        InputError: A path does not exist, holds no run, or no finished one; runs of different tasks; a seed of one
            model that was run twice in one experiment; a plugin or a file that cannot be read.
    """
    given = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    directories = list({run.path.resolve(): run for run in find_runs(given)}.values())
    for plugins in {tuple(run.config.plugins): run for run in directories}.values():
        import_plugins(plugins.config)
    tasks = _common_tasks(directories)
    names = _experiment_names(directories)
    finished = [(run, name) for run, name in zip(directories, names, strict=True) if run.finished]
    unfinished = tuple(run.path for run in directories if not run.finished)
    if not finished:
        raise InputError(
            f"none of the {len(unfinished)} runs found is finished; continue the first with: "
            f"atrc resume {unfinished[0]}"
        )
    _refuse_twice(finished)
    results = [run.result() for run, _ in finished]
    rows = [_row(run, name, result, tasks) for (run, name), result in zip(finished, results, strict=True)]
    singles = {f"{SINGLE}{task}": place for place, task in enumerate(tasks)}
    rows.sort(
        key=lambda row: (
            row["experiment"],
            _rank(str(row["model"])),
            singles.get(str(row["model"]), 0),
            row["model"],
            row["seed"],
            row["path"],
        )
    )
    found = {str(run.path): run.genotype() for run, _ in finished}
    return Runs(
        frame=pd.DataFrame(rows, columns=[*FACTS, *tasks, *COSTS]),
        tasks=tasks,
        genotypes={path: genotype for path, genotype in found.items() if genotype is not None},
        directories={str(run.path): run for run, _ in finished},
        configs={name: _config(run) for run, name in finished},
        unfinished=unfinished,
        seeds=_seeds(zip(directories, names, strict=True)),
        recipes={str(run.path): recipe(run, result) for (run, _), result in zip(finished, results, strict=True)},
    )


def _seeds(runs: Iterable[tuple[RunDirectory, str]]) -> dict[str, tuple[int, ...]]:
    found: dict[str, set[int]] = {}
    for run, name in runs:
        found.setdefault(name, set()).update((run.spec.seed, *run.config.seeds))
    return {name: tuple(sorted(seeds)) for name, seeds in found.items()}


def _config(run: RunDirectory) -> str:
    """The preset of the config's name, else the file in the run: the user's own may lie anywhere."""
    return run.config.name if ships(run.config.name) else str(run.path / "config.yaml")


def _rank(model: str) -> int:
    """Brings models into the order of the paper's tables: baselines first, ours last."""
    prefixed = (rank for prefix, rank in _PREFIX_RANKS.items() if model.startswith(prefix))
    return _RANKS.get(model, next(prefixed, 3))


def _common_tasks(directories: Sequence[RunDirectory]) -> dict[str, TaskInfo]:
    first = directories[0]
    for run in directories:
        if set(run.config.tasks) != set(first.config.tasks):
            raise InputError(
                f"runs of different tasks cannot be analysed together: {first.path} has "
                f"{', '.join(first.config.tasks)}; {run.path} has {', '.join(run.config.tasks)}; "
                "analyse them one by one"
            )
    tasks = {name: _task_info(name) for name in first.config.tasks}
    if taken := sorted(set(tasks) & {*FACTS, *COSTS}):
        raise InputError(f"a task must not have the name of a column of the runs' table: {', '.join(taken)}")
    return tasks


def _task_info(name: str) -> TaskInfo:
    task = TASKS[name]
    return TaskInfo(name, task.metric_name, task.metric_unit, task.higher_is_better)


def _experiment_names(directories: Sequence[RunDirectory]) -> list[str]:
    """The config's name; with its folder where the same name is in several folders, whose runs must not be mixed."""
    roots = [_root(run) for run in directories]
    folders: dict[str, set[Path]] = {}
    for run, root in zip(directories, roots, strict=True):
        folders.setdefault(run.config.name, set()).add(root.resolve())
    return [
        run.config.name if len(folders[run.config.name]) == 1 else f"{run.config.name} ({root})"
        for run, root in zip(directories, roots, strict=True)
    ]


def _root(run: RunDirectory) -> Path:
    """The experiment's folder: ``NAME`` of ``NAME/MODEL/seedK``, else the folder that the run is in."""
    return run.path.parent.parent if run.path.parent.name == run.spec.model else run.path.parent


def _refuse_twice(finished: Iterable[tuple[RunDirectory, str]]) -> None:
    seen: dict[tuple[object, ...], Path] = {}
    for run, name in finished:
        key = (name, run.spec.model, run.spec.seed, run.spec.source)
        if key in seen:
            raise InputError(
                f"{seen[key]} and {run.path} are both {run.spec.model!r} with seed {run.spec.seed} of {name!r}; "
                "a run that counts twice makes error bars too small: leave one out"
            )
        seen[key] = run.path


def _row(run: RunDirectory, name: str, result: Result, tasks: Iterable[str]) -> dict[str, object]:
    spec = run.spec
    facts = dict(zip(FACTS, (name, spec.kind, spec.model, spec.seed, str(run.path)), strict=True))
    metrics = {task: result.metrics.get(task, math.nan) for task in tasks}
    return {**facts, **metrics, **{cost: getattr(result, cost) for cost in COSTS}}
