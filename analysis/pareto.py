"""Score against cost: Pareto fronts of trials, and the hypervolume that they dominate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from atrc.runs import RunDirectory

__all__ = ["hypervolume", "hypervolumes", "pareto_front", "trial_outcomes"]

Point = tuple[float, float]


def pareto_front(points: Iterable[Point]) -> list[Point]:
    """Returns the (score, cost) pairs that no other pair beats, cheapest first; equal pairs count once.

    A pair beats another one if it has a higher score at no more cost, or less cost at no lower score.
    """
    front: list[Point] = []
    for score, cost in sorted(set(points), key=lambda point: (point[1], -point[0])):
        if not front or score > front[-1][0]:
            front.append((score, cost))
    return front


def hypervolume(points: Iterable[Point], reference: Point) -> float:
    """Area that is dominated by (score, cost) pairs, up to a reference of low score and high cost.

    Points that do not dominate the reference add nothing.
    """
    worst, most = reference
    area, floor = 0.0, worst
    for score, cost in pareto_front((s, c) for s, c in points if s > worst and c < most):
        area += (score - floor) * (most - cost)
        floor = score
    return area


def trial_outcomes(runs: Sequence[RunDirectory]) -> pd.DataFrame:
    """Returns a table with a row for every trial of full budget that has a score.

    Columns: ``strategy`` (the run's model), ``seed``, ``samples``, ``score`` (without the penalty of cost), ``cost``.
    """
    rows = [
        {
            "strategy": run.spec.model,
            "seed": run.spec.seed,
            "samples": line["samples"],
            "score": line.get("value", line["score"]),
            "cost": line["cost"],
        }
        for run in runs
        for line in run.lines("trials.jsonl")
        if line["budget"] == 1.0 and line["score"] is not None
    ]
    return pd.DataFrame(rows, columns=["strategy", "seed", "samples", "score", "cost"])


def hypervolumes(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Hypervolume of every search, relative to that of all trials together.

    The reference is the lowest score and the highest cost of any trial.

    Args:
        outcomes: Table of `trial_outcomes`.

    Returns:
        ``strategy``, ``seed``, ``hypervolume`` in 0..1 (missing where all trials together dominate nothing), and
        ``front``, the number of trials on the search's front.
    """
    pairs = list(zip(outcomes["score"], outcomes["cost"], strict=True))
    if not pairs:
        return pd.DataFrame(columns=["strategy", "seed", "hypervolume", "front"])
    reference = min(score for score, _ in pairs), max(cost for _, cost in pairs)
    whole = hypervolume(pairs, reference)
    rows = []
    for (strategy, seed), of in outcomes.groupby(["strategy", "seed"], sort=False):
        own = list(zip(of["score"], of["cost"], strict=True))
        share = hypervolume(own, reference) / whole if whole else float("nan")
        rows.append({"strategy": strategy, "seed": seed, "hypervolume": share, "front": len(pareto_front(own))})
    return pd.DataFrame(rows)
