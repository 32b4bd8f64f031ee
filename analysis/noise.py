"""How much of what was measured is noise: variance between genotypes against variance between seeds."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["intraclass_correlation", "noise_ceiling", "seed_variance"]


def seed_variance(values: np.ndarray) -> float:
    """Returns the variance between seeds, pooled over genotypes (the mean square within, MSW).

    Args:
        values: ``(n, k)`` results of n genotypes with k seeds each.

    Returns:
        The variance; NaN for a single seed.
    """
    n, seeds = values.shape
    if seeds < 2:
        return math.nan
    return float(((values - values.mean(1, keepdims=True)) ** 2).sum() / (n * (seeds - 1)))


def intraclass_correlation(values: np.ndarray) -> float:
    """Returns the share of the variance of a result that lies between genotypes, the rest between seeds.

    It is the one-way intraclass correlation of a single result, ICC(1) = (MSB - MSW) / (MSB + (k - 1) MSW) (Shrout
    and Fleiss, Psychological Bulletin 1979). It estimates the correlation of two trainings of the same genotype.

    Args:
        values: ``(n, k)`` results of n genotypes with k seeds each.

    Returns:
        The share, up to 1. It is negative if genotypes differ less than seeds would make them; NaN for fewer than two
        genotypes or seeds, or where nothing differs.
    """
    n, seeds = values.shape
    if n < 2 or seeds < 2:
        return math.nan
    between, within = seeds * float(values.mean(1).var(ddof=1)), seed_variance(values)
    whole = between + (seeds - 1) * within
    return (between - within) / whole if whole else math.nan


def noise_ceiling(share: float) -> float:
    """Returns the highest correlation with one new seed that a predictor of results can have: the root of the share.

    A predictor that knows the true mean of every genotype has it.

    Args:
        share: See `intraclass_correlation`; a negative one counts as 0.
    """
    return math.sqrt(share) if share > 0 else 0.0 if share <= 0 else math.nan
