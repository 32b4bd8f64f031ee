"""Bootstrap intervals against enumeration and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from analysis.bootstrap import bootstrap_difference, bootstrap_mean


@pytest.mark.parametrize(("n", "stated"), [(10, 0.92), (5, 0.89), (3, 0.80), (2, 0.66)])
def test_a_difference_is_covered_as_often_as_the_module_says(n: int, stated: float) -> None:
    draws = np.random.default_rng(n).normal(size=(600, 2, n))
    covered = np.mean([low <= 0 <= high for low, high in (bootstrap_difference(a, b) for a, b in draws)])
    assert covered == pytest.approx(stated, abs=3 * math.sqrt(stated * (1 - stated) / len(draws)))


def test_the_interval_of_a_mean_is_within_the_exact_one() -> None:
    draws = np.random.default_rng(0).normal(size=10)
    low, high = bootstrap_mean(draws)
    exact = stats.t.interval(0.95, 9, draws.mean(), draws.std(ddof=1) / math.sqrt(10))
    assert exact[0] < low < draws.mean() < high < exact[1]


def test_two_values_a_side() -> None:
    # Means of resamples of (0, 2) are 0, 1, 2 with weights 1/4, 1/2, 1/4; against a constant the 2.5th and the
    # 97.5th percentile are the ends.
    assert bootstrap_difference(np.array([0.0, 2.0]), np.array([5.0, 5.0])) == (-5.0, -3.0)
    assert bootstrap_mean(np.array([0.0, 2.0])) == (0.0, 2.0)


def test_the_seed_decides() -> None:
    a, b = np.array([1.0, 2.0, 4.0]), np.array([0.0, 0.5, 1.5])
    assert bootstrap_difference(a, b) == bootstrap_difference(a, b)
    assert bootstrap_difference(a, b) != bootstrap_difference(a, b, seed=1)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, math.nan]])
def test_too_few_values_have_no_interval(values: list[float]) -> None:
    assert all(map(math.isnan, bootstrap_mean(np.array(values))))
