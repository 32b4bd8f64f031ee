"""Multi-task performance (Sec. 4.1): gains over single-task models, Delta_m, and the table of Table 1.

Two ways to choose what a run is compared to:

- *mean* (default, the paper's): each task's baseline is the mean over the seeds of its single-task runs. The spread
  of Delta_m over runs is then that of the multi-task model alone; the uncertainty of the baseline is not in it.
- *paired*: the baseline is the single-task run with the same seed. The spread then holds both; a run whose seed has
  no single-task run has no Delta_m.

Baselines are those of the same experiment. The mean of Delta_m over runs is the Delta_m of the mean metrics in the
first case, since Delta_m is linear in the metrics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.load import SINGLE, Runs, TaskInfo, once
from analysis.recipes import differing_keys
from atrc.metrics.delta_m import delta_m

__all__ = [
    "MARKED",
    "baselines",
    "gains",
    "marked",
    "marks_explained",
    "missing_baselines",
    "missing_seeds",
    "spread",
    "summarize",
    "with_delta_m",
]

MARKED = "*: seeds are missing, or runs differ in more than the seed; see the notes."
"""Explains what `marked` shows."""

Reference = Mapping[tuple[str, str, int], float]


def spread(values: pd.Series | np.ndarray) -> tuple[float, float, int]:
    """Mean, sample standard deviation (ddof = 1) and number of values.

    The standard deviation is that of one run, not of the mean. It is missing (NaN) for one value; both are missing
    where a value is.
    """
    array = np.asarray(values, dtype=float)
    if array.size == 0:
        return math.nan, math.nan, 0
    return float(array.mean()), float(array.std(ddof=1)) if array.size > 1 else math.nan, array.size


@once
def baselines(runs: Runs) -> pd.DataFrame:
    """The single-task runs: ``experiment``, ``task``, ``seed``, ``value`` in the task's unit."""
    rows = [
        {"experiment": row["experiment"], "task": task, "seed": row["seed"], "value": row[task]}
        for task in runs.tasks
        for row in runs.frame[runs.frame["model"] == f"{SINGLE}{task}"].to_dict("records")
    ]
    return pd.DataFrame(rows, columns=["experiment", "task", "seed", "value"])


def gains(runs: Runs, *, paired: bool = False) -> pd.DataFrame:
    """Relative gain of every multi-task run in every task: ``(-1)^g (M_m - M_b) / M_b``, up is better (Fig. 4).

    Args:
        runs: The runs.
        paired: Whether the baseline is the single-task run of the same seed, and not the mean over seeds.

    Returns:
        ``experiment``, ``model``, ``seed``, ``path``, ``task``, ``value``, ``baseline``, ``gain`` in percent; the
        gain is missing where there is no baseline or where it is 0.
    """
    reference = _reference(runs, paired)
    rows = []
    for row in runs.multi_task.to_dict("records"):
        for name, task in runs.tasks.items():
            base = reference.get((row["experiment"], name, row["seed"]), math.nan)
            rows.append(
                {key: row[key] for key in ("experiment", "model", "seed", "path")}
                | {"task": name, "value": row[name], "baseline": base, "gain": _gain(row[name], base, task)}
            )
    columns = ["experiment", "model", "seed", "path", "task", "value", "baseline", "gain"]
    return pd.DataFrame(rows, columns=columns)


@once
def with_delta_m(runs: Runs, *, paired: bool = False) -> pd.DataFrame:
    """The runs' frame with a column ``delta_m`` in percent.

    Missing for single-task runs, where the baseline of any task is missing or 0, and where there are no tasks.
    """
    reference = _reference(runs, paired)
    directions = {name: task.higher_is_better for name, task in runs.tasks.items()}

    def of(row: Mapping[str, object]) -> float:
        seed = int(str(row["seed"]))
        base = {name: reference.get((str(row["experiment"]), name, seed), math.nan) for name in runs.tasks}
        if not base or str(row["model"]).startswith(SINGLE) or not all(map(_usable, base.values())):
            return math.nan
        return delta_m({name: float(str(row[name])) for name in runs.tasks}, base, directions)

    rows = [{str(column): value for column, value in row.items()} for row in runs.frame.to_dict("records")]
    return runs.frame.assign(delta_m=list(map(of, rows)))


@once
def summarize(runs: Runs, *, paired: bool = False) -> pd.DataFrame:
    """One row per experiment and model, as in Table 1; the single-task runs make one row, ``single``.

    Returns:
        ``experiment``, ``model``, ``n`` (runs), ``TASK_mean`` and ``TASK_std`` in the task's unit, ``delta_m_mean``
        and ``delta_m_std`` in percent, ``parameters``, ``multiply_adds`` (means over runs), ``seconds_mean`` and
        ``seconds_std`` of training; ``missing`` (seeds of the experiment of which the model has no finished run) and
        ``differs`` (what its runs differ in beside the seed, see `analysis.recipes`), both as text, empty where there
        is nothing to say. Every ``_std`` is the sample standard deviation over runs (see `spread`).
        For ``single``, costs are summed over tasks (missing unless every task has a run), ``n`` is the smallest
        number of runs that a task has, and Delta_m is 0 by definition, without a spread.
    """
    frame = with_delta_m(runs, paired=paired)
    rows = []
    for experiment in runs.experiments:
        of = frame[frame["experiment"] == experiment]
        single = of[of["model"].str.startswith(SINGLE)]
        if not single.empty:
            rows.append({"experiment": experiment, "model": "single", **_single_row(single, runs, experiment)})
        others = of[~of["model"].str.startswith(SINGLE)]
        for model in dict.fromkeys(others["model"]):
            of_model = others[others["model"] == model]
            trust = {"missing": _numbers(missing_seeds(runs, experiment, model)), "differs": _unlike(of_model, runs)}
            rows.append({"experiment": experiment, "model": model, **_model_row(of_model, runs), **trust})
    return pd.DataFrame(rows)


def marked(row: Mapping[Any, Any]) -> str:
    """The model of a row of `summarize`, with a star where its runs lack a seed or are not alike."""
    return f"{row['model']}*" if row["missing"] or row["differs"] else str(row["model"])


def marks_explained(rows: pd.DataFrame) -> list[str]:
    """Explanations of the stars of `marked`, where one of the rows has one."""
    return [MARKED] if (rows["missing"] + rows["differs"]).any() else []


def missing_seeds(runs: Runs, experiment: str, model: str) -> list[int]:
    """Seeds of an experiment for which a model has no finished run."""
    frame = runs.frame
    there = set(frame[(frame["experiment"] == experiment) & (frame["model"] == model)]["seed"])
    return [seed for seed in runs.seeds.get(experiment, ()) if seed not in there]


def missing_baselines(runs: Runs, *, paired: bool = False) -> list[str]:
    """One note per experiment whose Delta_m is missing: why, and the command that helps."""
    if not runs.tasks:
        return [
            "the configs have no dataset and no tasks, so there are no metrics, no Delta_m and no networks to train"
        ]
    notes = []
    found = baselines(runs)
    for experiment in runs.experiments:
        of = found[found["experiment"] == experiment]
        command = f"atrc train {runs.configs[experiment]} --model single"
        lacking = [task for task in runs.tasks if task not in set(of["task"])]
        used = {task: of[of["task"] == task]["value"] for task in runs.tasks if task not in lacking}
        zero = [task for task, values in used.items() if ((values == 0).any() if paired else values.mean() == 0)]
        rows = runs.multi_task[runs.multi_task["experiment"] == experiment]
        if lacking:
            notes.append(
                f"{experiment}: no finished single-task run of {', '.join(lacking)}, so Delta_m is missing; "
                f"make them with: {command}"
            )
        elif paired and (alone := sorted(set(rows["seed"]) - _paired_seeds(of, runs))):
            notes.append(
                f"{experiment}: no single-task runs of seed {', '.join(map(str, alone))} to pair with, so Delta_m of "
                f"these runs is missing; make them with: {command}"
            )
        if zero:
            notes.append(
                f"{experiment}: the single-task baseline of {', '.join(zero)} is 0, which Delta_m would divide by; "
                "train the baselines for longer"
            )
    return notes


def _paired_seeds(single: pd.DataFrame, runs: Runs) -> set[int]:
    """Seeds for which every task has a single-task run."""
    return set.intersection(*(set(single[single["task"] == task]["seed"]) for task in runs.tasks))


def _reference(runs: Runs, paired: bool) -> Reference:
    """(experiment, task, seed of the compared run) -> baseline."""
    found = baselines(runs)
    if paired:
        return {(row["experiment"], row["task"], row["seed"]): row["value"] for row in found.to_dict("records")}
    means = {key: spread(group["value"])[0] for key, group in found.groupby(["experiment", "task"])}
    seeds = sorted(set(runs.frame["seed"]))
    return {(*key, seed): mean for key, mean in means.items() for seed in seeds}


def _usable(baseline: float) -> bool:
    return math.isfinite(baseline) and baseline != 0


def _gain(value: float, baseline: float, task: TaskInfo) -> float:
    if not _usable(baseline):
        return math.nan
    return delta_m({task.name: value}, {task.name: baseline}, {task.name: task.higher_is_better})


def _statistics(name: str, values: pd.Series) -> dict[str, float]:
    mean, std, _ = spread(values)
    return {f"{name}_mean": mean, f"{name}_std": std}


def _model_row(rows: pd.DataFrame, runs: Runs) -> dict[str, float]:
    row: dict[str, float] = {"n": len(rows)}
    for name in [*runs.tasks, "delta_m"]:
        row |= _statistics(name, rows[name])
    costs = {name: float(rows[name].mean()) for name in ("parameters", "multiply_adds")}
    return row | costs | _statistics("seconds", rows["seconds"])


def _numbers(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))


def _unlike(rows: pd.DataFrame, runs: Runs) -> str:
    """The keys in which runs of one row differ."""
    return ", ".join(differing_keys(runs.recipes[path] for path in rows["path"] if path in runs.recipes))


def _single_row(rows: pd.DataFrame, runs: Runs, experiment: str) -> dict[str, float | str]:
    of_task = {task: rows[rows["model"] == f"{SINGLE}{task}"] for task in runs.tasks}
    complete = all(len(group) for group in of_task.values())
    row: dict[str, float | str] = {"n": min((len(group) for group in of_task.values() if len(group)), default=0)}
    for task, group in of_task.items():
        row |= _statistics(task, group[task])
    row |= {"delta_m_mean": 0.0 if complete else math.nan, "delta_m_std": math.nan}
    for name in ("parameters", "multiply_adds"):
        row[name] = sum(float(group[name].mean()) for group in of_task.values()) if complete else math.nan
    lacking = {task: missing_seeds(runs, experiment, f"{SINGLE}{task}") for task in runs.tasks}
    missing = "; ".join(f"{task}: {_numbers(seeds)}" for task, seeds in lacking.items() if seeds)
    by_seed = rows.groupby("seed")["seconds"].agg(["sum", "size"])
    seconds = _statistics("seconds", by_seed[by_seed["size"] == len(runs.tasks)]["sum"])
    return row | seconds | {"missing": missing, "differs": _unlike(rows, runs)}
