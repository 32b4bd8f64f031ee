"""Differences of two models: means with bootstrap intervals, and a sentence on which one is better."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.bootstrap import bootstrap_difference
from analysis.load import Runs, once
from analysis.multitask import with_delta_m

__all__ = ["Comparison", "answers", "as_frame", "compare", "compare_models"]

FEW = 5
"""Below this number of runs on a side a percentile bootstrap is clearly too narrow, and `answers` says so."""


@dataclass(frozen=True)
class Comparison:
    """Difference of two models in one quantity.

    Attributes:
        experiment: The experiment of both.
        quantity: A task, or ``delta_m``.
        unit: Unit of the numbers below.
        model: The model in question.
        other: The model that it is compared with.
        difference: Mean of ``model`` minus mean of ``other``.
        low: Lower end of the 95 % interval of the difference; missing (NaN) unless both have two runs.
        high: Its upper end.
        n_model: Number of runs of ``model``.
        n_other: Number of runs of ``other``.
        sentence: The finding in plain words.
    """

    experiment: str
    quantity: str
    unit: str
    model: str
    other: str
    difference: float
    low: float
    high: float
    n_model: int
    n_other: int
    sentence: str


@once
def compare_models(
    runs: Runs, model: str = "retrain", other: str = "multi", *, paired: bool = False, seed: int = 0
) -> list[Comparison]:
    """Compares two models, in every experiment that has both: each task, then Delta_m.

    Args:
        runs: The runs.
        model: Name of the model in question; by default the network that the search found, retrained.
        other: Name of the model that it is compared with; by default the multi-task baseline.
        paired: Whether the baseline of Delta_m is the run of the same seed; see `analysis.multitask`. The
            baselines themselves are not resampled: they shift both sides alike and only scale the difference.
        seed: Seed of the bootstrap.

    Returns:
        Empty where no experiment has both. Delta_m is left out where it is missing.
    """
    frame = with_delta_m(runs, paired=paired)
    found = []
    for experiment in runs.experiments:
        of = frame[frame["experiment"] == experiment]
        ours, theirs = (of[of["model"] == name] for name in (model, other))
        if ours.empty or theirs.empty:
            continue
        for quantity in [*runs.tasks, "delta_m"]:
            a, b = ours[quantity].dropna().to_numpy(float), theirs[quantity].dropna().to_numpy(float)
            if a.size and b.size:
                low, high = bootstrap_difference(a, b, seed=seed)
                difference = float(a.mean() - b.mean())
                title, unit, up = _describe(runs, quantity)
                sentence = _sentence(title, unit, up, (model, other), difference, (low, high), (a.size, b.size))
                found.append(
                    Comparison(
                        experiment, quantity, unit, model, other, difference, low, high, a.size, b.size, sentence
                    )
                )
    return found


compare = compare_models
"""`compare_models`, under the name that the package gives it."""


def answers(comparisons: Sequence[Comparison], experiment: str) -> list[str]:
    """The sentences on one experiment, and remarks on their intervals."""
    of = [one for one in comparisons if one.experiment == experiment]
    intervals = [min(one.n_model, one.n_other) for one in of if not math.isnan(one.low)]
    remarks = []
    if intervals and min(intervals) < FEW:
        remarks.append(f"With fewer than {FEW} runs on a side, these intervals are too narrow.")
    if len(intervals) > 1:
        remarks.append(
            f"The {len(intervals)} intervals are not corrected for their number: without any difference, one in 20 "
            "would still leave out 0."
        )
    return [one.sentence for one in of] + remarks


def as_frame(comparisons: list[Comparison]) -> pd.DataFrame:
    """One row per comparison, a column per attribute."""
    return pd.DataFrame([vars(c) for c in comparisons], columns=list(Comparison.__dataclass_fields__))


def _describe(runs: Runs, quantity: str) -> tuple[str, str, bool]:
    """Name for a sentence, unit, whether higher is better."""
    task = runs.tasks.get(quantity)
    if task is None:
        return "Delta_m", "percentage points", True
    unit = "points" if task.unit == "%" else task.unit
    return f"{task.title} ({task.metric})", unit, task.higher_is_better


def _sentence(
    title: str,
    unit: str,
    higher_is_better: bool,
    names: tuple[str, str],
    difference: float,
    interval: tuple[float, float],
    runs: tuple[int, int],
) -> str:
    model, other = names
    low, high = interval
    better = (difference > 0) is higher_is_better
    verdict = (
        f"{model} is {'better' if better else 'worse'} than {other} by {_number(abs(difference))} {unit}".rstrip()
    )
    counted = f"{runs[0]} and {runs[1]} runs"
    if difference == 0:
        verdict = f"{model} and {other} have the same mean"
    if math.isnan(low):
        return f"{title}: {verdict} ({counted}); with one run on a side, an effect cannot be told from chance."
    # the ends change places where lower is better, so that the interval is that of the gain
    ends = (low, high) if higher_is_better else (-high, -low)
    stated = f"95 % interval of the gain {_number(ends[0], sign=True)} to {_number(ends[1], sign=True)}, {counted}"
    if low <= 0 <= high:
        return f"{title}: no clear difference; {verdict}, but the interval includes 0 ({stated})."
    return f"{title}: {verdict} ({stated})."


def _number(value: float, *, sign: bool = False) -> str:
    return f"{value:{'+' if sign else ''}.3g}"
