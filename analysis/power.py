"""The power of two-sided t-tests at the spread that was seen: which differences could these seeds have shown?

A comparison that finds no difference says little if its seeds could not have shown one. With standard deviation s of
one run, n runs a model and the t-test at level alpha, a true difference d is found with probability

    P(|T| > t), T noncentral t with 2 n - 2 degrees of freedom and noncentrality d / (s sqrt(2 / n)),

and of n pairs (runs of one seed), whose differences have standard deviation s, with n - 1 degrees of freedom and
noncentrality d / (s / sqrt(n)) (Cohen, Statistical Power Analysis for the Behavioral Sciences, 1988, ch. 2).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy import optimize, stats

from analysis.load import Runs, once
from analysis.multitask import with_delta_m
from analysis.significance import LEVEL

__all__ = ["detectable", "power_of_differences", "power_of_runs", "power_sentences", "seeds_needed"]

POWER = 0.8
MOST_SEEDS = 100_000
POWER_OF = "Delta_m of one model varies between seeds by"
"""Begins the sentence on `power_of_runs`."""


def detectable(
    spread: float, seeds: int, *, paired: bool = False, level: float = LEVEL, power: float = POWER
) -> float:
    """The smallest true difference of two means that is found with the given probability.

    Args:
        spread: Standard deviation of one run, or of the differences of pairs where they are ``paired``. At least 0.
        seeds: Number of runs of each of the two models, or of pairs; at least 2.
        paired: Whether runs of one seed are compared.
        level: Level of the two-sided test, e.g. 0.05; smaller where several tests share it.
        power: Probability with which the difference is found.

    Returns:
        In the unit of ``spread``; NaN for fewer than two seeds, or a spread that is not known.
    """
    if seeds < 2 or not math.isfinite(spread):
        return math.nan
    freedom = seeds - 1 if paired else 2 * seeds - 2
    threshold = float(stats.t.isf(level / 2, freedom))

    def lacking(shift: float) -> float:
        return float(stats.nct.sf(threshold, freedom, shift)) - power

    # The threshold is a normal variable over an independent scale, which seldom exceeds the 99th percentile.
    scale = math.sqrt(stats.chi2.ppf(0.99, freedom) / freedom)
    shift = float(optimize.brentq(lacking, 0.0, threshold * scale + 5))
    return shift * spread * math.sqrt((1 if paired else 2) / seeds)


def seeds_needed(
    spread: float, difference: float, *, paired: bool = False, level: float = LEVEL, power: float = POWER
) -> int | None:
    """The fewest seeds, at least 2, with which `detectable` is no larger than a difference; None for over 100,000."""

    def enough(seeds: int) -> bool:
        return detectable(spread, seeds, paired=paired, level=level, power=power) <= difference

    if not math.isfinite(spread) or not enough(MOST_SEEDS):
        return None
    low, high = 1, 2
    while not enough(high):
        low, high = high, min(2 * high, MOST_SEEDS)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


COLUMNS = ["quantity", "unit", "spread", "freedom", "seeds", "detectable", "seeds_for_one"]


@once
def power_of_runs(runs: Runs, experiment: str, *, paired: bool = False) -> pd.DataFrame:
    """Differences of two models that the seeds of an experiment could show.

    Args:
        runs: The runs.
        experiment: Name of one of their experiments.
        paired: Whether the baseline of Delta_m is the run of the same seed; see `analysis.multitask`.

    Returns:
        One row per task and for ``delta_m``: ``quantity``, ``unit``, ``spread`` (standard deviation of one run,
        pooled over the trained multi-task models of two runs and more), ``freedom`` (its degrees of freedom),
        ``seeds`` (of the model with the fewest, of those), ``detectable`` (see there), ``seeds_for_one`` (for a
        difference of one point; missing where the unit is no percentage, or none would do). Empty without two runs of
        any model.
    """
    frame = with_delta_m(runs, paired=paired)
    frame = frame[(frame["experiment"] == experiment) & (frame["kind"] != "search")]
    frame = frame[frame["path"].isin(list(runs.multi_task["path"]))]
    rows = []
    for quantity in [*runs.tasks, "delta_m"]:
        unit = runs.tasks[quantity].unit if quantity in runs.tasks else "%"
        groups = [of.dropna().to_numpy(float) for _, of in frame.groupby("model")[quantity]]
        rows += _row(quantity, unit, [of for of in groups if len(of) > 1], paired=False, tests=1)
    return pd.DataFrame(rows, columns=COLUMNS)


def power_of_differences(quantity: str, unit: str, pairs: Iterable[np.ndarray], tests: int) -> pd.DataFrame:
    """Differences of two strategies that paired seeds could show, at a level divided by the number of tests.

    Args:
        quantity: Name of the quantity.
        unit: Unit of the differences.
        pairs: The differences, ``(seeds,)`` of each pair of strategies.
        tests: Number of tests that share the level of 5 %: Bonferroni's bound, which Holm's correction never
            undercuts.

    Returns:
        One row as those of `power_of_runs`, or none; ``spread`` is that of the differences.
    """
    groups = [of for of in pairs if len(of) > 1]
    return pd.DataFrame(_row(quantity, unit, groups, paired=True, tests=tests), columns=COLUMNS)


def _row(quantity: str, unit: str, groups: list[np.ndarray], *, paired: bool, tests: int) -> list[dict[str, object]]:
    if not groups:
        return []
    freedom, seeds = sum(len(of) - 1 for of in groups), min(map(len, groups))
    spread = math.sqrt(sum((len(of) - 1) * float(np.var(of, ddof=1)) for of in groups) / freedom)
    level = LEVEL / max(1, tests)
    needed = seeds_needed(spread, 1.0, paired=paired, level=level) if unit == "%" else None
    found = detectable(spread, seeds, paired=paired, level=level)
    return [dict(zip(COLUMNS, (quantity, unit, spread, freedom, seeds, found, needed), strict=True))]


def power_sentences(power: pd.DataFrame, of: str, after: str = "") -> list[str]:
    """A sentence on the last quantity: Delta_m, or the only one.

    Args:
        power: Table of `power_of_runs` or `power_of_differences`; an empty one gives no sentence.
        of: Beginning of the sentence, e.g. ``"Delta_m of one model varies between seeds by"``.
        after: Words on the correction of the level, which follow it.
    """
    if power.empty:
        return []
    row = power.iloc[-1]
    needed = f"{row['seeds_for_one']:,.0f}" if pd.notna(row["seeds_for_one"]) else f"more than {MOST_SEEDS:,}"
    return [
        f"{of} {row['spread']:.2g} points (standard deviation; {row['freedom']} degrees of freedom). With that "
        f"spread, {row['seeds']} seeds show a difference of {row['detectable']:.2g} points in {100 * POWER:.0f} % of "
        f"cases{after}; a difference of one point would need {needed} seeds."
    ]
