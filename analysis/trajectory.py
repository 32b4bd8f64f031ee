"""Course of searches and trainings: architecture.jsonl and metrics.jsonl as tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.load import Runs, once

__all__ = ["block_probabilities", "freeze_times", "search_trajectory", "training_curves"]

POINTS = 400
"""Most points of a curve: more than a figure can show, few enough for a CSV of forty thousand steps."""

LOGGED = ("step", "seconds", "lr", "loss")
"""What a training logs of itself, as a curve shows it."""

SCALARS = ("temperature", "entropy_weight")
"""Schedules that a strategy may report; one that has none leaves the column empty."""


def search_trajectory(runs: Runs, experiment: str) -> pd.DataFrame:
    """Entropy, schedules and freezing of an experiment's searches over their steps.

    Returns:
        ``run``, ``step``, ``entropy`` (mean over blocks of the entropy of their candidates' probabilities, in nats),
        ``temperature``, ``entropy_weight`` (missing where the strategy has none), ``frozen`` (share of blocks, in
        0..1, that have stopped sampling).
    """
    rows = []
    for run, line in _lines(runs, experiment):
        probabilities = [list(options.values()) for options in line["probabilities"].values()]
        rows.append(
            {
                "run": run,
                "step": line["step"],
                "entropy": float(np.mean([_entropy(p) for p in probabilities])),
                **{name: line.get(name, math.nan) for name in SCALARS},
                "frozen": len(line.get("frozen", ())) / len(probabilities),
            }
        )
    return pd.DataFrame(rows, columns=["run", "step", "entropy", *SCALARS, "frozen"])


def block_probabilities(runs: Runs, experiment: str) -> pd.DataFrame:
    """The leading candidate of every choice over a search's steps.

    Returns:
        ``run``, ``step``, ``block``, ``context`` (the most probable candidate at that step), ``probability`` (its
        probability, 0..1), ``final`` (the most probable candidate at the last logged step).
    """
    rows = []
    for run, line in _lines(runs, experiment):
        for choice, options in line["probabilities"].items():
            leader = max(options, key=options.__getitem__)
            rows.append((run, line["step"], choice, leader, options[leader]))
    frame = pd.DataFrame(rows, columns=["run", "step", "block", "context", "probability"])
    return frame.assign(final=frame.groupby(["run", "block"])["context"].transform("last"))


def freeze_times(runs: Runs, experiment: str) -> pd.DataFrame:
    """Step at which each choice of an experiment's searches stopped sampling.

    Returns:
        ``run``, ``block``, ``step`` (the first logged one at which it was frozen; the last logged one if it never
        was), ``frozen`` (whether it was), ``context`` (the most probable candidate then). Empty where no block froze.
    """
    rows = []
    for run, lines in _logged(runs, experiment):
        times = {choice: line for line in reversed(lines) for choice in line.get("frozen", ())}
        for choice in lines[-1]["probabilities"] if lines else ():
            line = times.get(choice, lines[-1])
            options = line["probabilities"][choice]
            rows.append((run, choice, line["step"], choice in times, max(options, key=options.__getitem__)))
    frame = pd.DataFrame(rows, columns=["run", "block", "step", "frozen", "context"])
    return frame if frame["frozen"].any() else frame.iloc[:0]


def training_curves(runs: Runs, experiment: str) -> pd.DataFrame:
    """Training loss of an experiment's runs over their steps.

    Neighbouring logged steps are averaged, so that a curve has at most 400 points.

    Returns:
        ``model``, ``seed``, ``step`` (the last of those averaged), ``seconds``, ``lr``, ``loss``.
    """
    rows = []
    for row in runs.frame[runs.frame["experiment"] == experiment].to_dict("records"):
        logged = runs.directories[row["path"]].lines("metrics.jsonl")
        lines = [tuple(line.get(name) for name in LOGGED) for line in logged]
        shown = lines if len(lines) <= POINTS else _averaged(lines)
        rows += [(row["model"], row["seed"], *line) for line in shown]
    frame = pd.DataFrame(rows, columns=["model", "seed", *LOGGED])
    return frame.astype(dict.fromkeys(("seconds", "lr", "loss"), float))


def _averaged(lines: Sequence[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """At most 400 lines of `LOGGED`, each of as many neighbours."""
    frame = pd.DataFrame(lines, columns=list(LOGGED))
    group = np.arange(len(lines)) // -(-len(lines) // POINTS)
    means = frame.groupby(group).agg({"step": "last", "seconds": "last", "lr": "mean", "loss": "mean"})
    return means.itertuples(index=False, name=None)


def _lines(runs: Runs, experiment: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Name of the run and line, for at most 400 lines of each of an experiment's searches, the last included."""
    return [(name, line) for name, lines in _logged(runs, experiment) for line in _thin(lines)]


@once
def _logged(runs: Runs, experiment: str) -> list[tuple[str, list[dict[str, Any]]]]:
    """Name of the run, and all lines that say probabilities, of an experiment's searches."""
    rows = runs.frame[(runs.frame["experiment"] == experiment) & (runs.frame["kind"] == "search")]
    several = rows["model"].nunique() > 1
    found = []
    for row in rows.to_dict("records"):
        name = f"{row['model']} seed {row['seed']}" if several else f"seed {row['seed']}"
        lines = runs.directories[row["path"]].lines("architecture.jsonl")
        found.append((name, [line for line in lines if "probabilities" in line]))
    return found


def _thin(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    kept = np.unique(np.linspace(0, len(lines) - 1, min(len(lines), POINTS)).round().astype(int))
    return [lines[i] for i in kept]


def _entropy(probabilities: Sequence[float]) -> float:
    p = np.asarray(probabilities, dtype=float)
    return float(-(p[p > 0] * np.log(p[p > 0])).sum())
