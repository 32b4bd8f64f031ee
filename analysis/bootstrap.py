"""Percentile bootstrap intervals, over draws of runs or of blocks; not over data sets.

With few runs they are too narrow: of normally distributed runs, ten a side cover the true difference of two means in
about 92 % of cases, five in 89 %, three in 80 %, two in 66 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

__all__ = ["bootstrap", "bootstrap_difference", "bootstrap_mean", "bootstrap_means"]

RESAMPLES = 10_000


def bootstrap(
    statistic: Callable[[np.ndarray], np.ndarray], n: int, *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of a statistic of n things, which are resampled with replacement.

    Args:
        statistic: Function from ``(resamples, n)`` indices of things to ``(resamples,)`` values. Resamples for which
            it is NaN are left out.
        n: Number of things.
        resamples: Number of resamples.
        seed: Seed of the draws.

    Returns:
        The 2.5th and the 97.5th percentile; NaN for fewer than two things, or where no resample has a value.
    """
    if n < 2:
        return math.nan, math.nan
    return _ends(statistic(np.random.default_rng(seed).integers(0, n, (resamples, n))))


def bootstrap_mean(values: np.ndarray, *, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean of ``(n,)`` values, one per run; NaN for fewer than two, or a missing one."""
    values = np.asarray(values, dtype=float)
    return bootstrap(lambda drawn: values[drawn].mean(1), values.size if np.isfinite(values).all() else 0, seed=seed)


def bootstrap_means(values: np.ndarray, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """95 % intervals of the means of several values, such as those at the points of a curve.

    Args:
        values: ``(n, m)``: m values of n runs. Runs are resampled.
        seed: Seed of the resampling.

    Returns:
        Lower and upper ends, ``(m,)`` each; NaN for fewer than two runs, and where a value is missing.
    """
    n, m = values.shape
    if n < 2 or not m:
        return np.full(m, math.nan), np.full(m, math.nan)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), RESAMPLES) / n
    low, high = np.percentile(drawn @ np.asarray(values, dtype=float), [2.5, 97.5], axis=0)
    return low, high


def bootstrap_difference(a: np.ndarray, b: np.ndarray, *, seed: int = 0) -> tuple[float, float]:
    """95 % interval of ``mean(a) - mean(b)``, both sides resampled independently of each other.

    Args:
        a: ``(n,)`` values, one per run.
        b: ``(m,)`` values, one per run.
        seed: Seed of the resampling.

    Returns:
        Lower and upper end; NaN where a side has fewer than two values or a missing one.
    """
    sides = [np.asarray(side, dtype=float) for side in (a, b)]
    if any(side.size < 2 or not np.isfinite(side).all() for side in sides):
        return math.nan, math.nan
    generator = np.random.default_rng(seed)
    means = [side[generator.integers(0, side.size, (RESAMPLES, side.size))].mean(1) for side in sides]
    return _ends(means[0] - means[1])


def _ends(values: np.ndarray) -> tuple[float, float]:
    defined = values[np.isfinite(values)]
    if not defined.size:
        return math.nan, math.nan
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)
