"""Percentile bootstrap intervals of means: what another set of seeds would give, not another data set.

With few runs they are too narrow: of normally distributed runs, ten a side cover the true difference of two means in
about 92 % of cases, five in 89 %, three in 80 %, two in 66 %.
"""

from __future__ import annotations

import math

import numpy as np

__all__ = ["bootstrap_difference", "bootstrap_mean"]

RESAMPLES = 10_000


def bootstrap_mean(values: np.ndarray, *, seed: int = 0) -> tuple[float, float]:
    """95 % interval of a mean.

    Args:
        values: ``(n,)``, one per run. They are resampled with replacement, 10 000 times.
        seed: Of the resampling.

    Returns:
        The 2.5th and the 97.5th percentile; NaN for fewer than two values, or a missing one.
    """
    return _interval([values], seed)


def bootstrap_difference(a: np.ndarray, b: np.ndarray, *, seed: int = 0) -> tuple[float, float]:
    """95 % interval of ``mean(a) - mean(b)``, both sides resampled independently of each other.

    Args:
        a: ``(n,)`` values, one per run.
        b: ``(m,)`` likewise.
        seed: Of the resampling.

    Returns:
        Lower and upper end; NaN where a side has fewer than two values or a missing one.
    """
    return _interval([a, b], seed)


def _interval(sides: list[np.ndarray], seed: int) -> tuple[float, float]:
    """Of the mean of the first side, minus that of the second one if there is any."""
    sides = [np.asarray(side, dtype=float) for side in sides]
    if any(side.size < 2 or not np.isfinite(side).all() for side in sides):
        return math.nan, math.nan
    generator = np.random.default_rng(seed)
    first, *rest = (side[generator.integers(0, side.size, (RESAMPLES, side.size))].mean(1) for side in sides)
    low, high = np.percentile(first - sum(rest), [2.5, 97.5])
    return float(low), float(high)
