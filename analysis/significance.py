"""Tests of many pairs: signed-rank tests, Holm's correction, and the limits of few seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

__all__ = ["LEVEL", "differences", "holm", "hopeless", "pairwise_tests"]

LEVEL = 0.05
"""P-values below it are said to show a difference."""


def differences(found: pd.DataFrame) -> dict[tuple[str, str], np.ndarray]:
    """Pair of strategies -> Delta_m of one minus that of the other, for every seed that both have.

    Args:
        found: ``strategy``, ``seed``, ``delta_m``: one row per search; a missing value is a missing seed.
    """
    pivot = found.pivot(index="seed", columns="strategy", values="delta_m")
    pairs = combinations(dict.fromkeys(found["strategy"]), 2)
    return {(one, other): (pivot[one] - pivot[other]).dropna().to_numpy(float) for one, other in pairs}


def pairwise_tests(found: pd.DataFrame) -> pd.DataFrame:
    """Wilcoxon's signed-rank test of every pair of strategies, paired by seed, with Holm's correction.

    Args:
        found: Table with one row per search, as for `differences`.

    Returns:
        ``one``, ``other``, ``difference`` (mean of one minus other, percent), ``p`` (two-sided; 1 where the two are
        the same on every seed), ``p_holm`` and ``n`` (seeds that both have). What fewer than two seeds cannot test is
        missing, and not corrected for.
    """
    rows = []
    for (one, other), difference in differences(found).items():
        p = math.nan
        if len(difference) > 1:
            p = float(stats.wilcoxon(difference).pvalue) if difference.any() else 1.0
        mean = float(difference.mean()) if len(difference) else math.nan
        rows.append({"one": one, "other": other, "difference": mean, "p": p, "n": len(difference)})
    frame = pd.DataFrame(rows, columns=["one", "other", "difference", "p", "n"])
    return frame.assign(p_holm=holm(frame["p"].to_list()))[["one", "other", "difference", "p", "p_holm", "n"]]


def holm(p: Sequence[float]) -> list[float]:
    """P-values corrected for their number, in the order given (Holm, 1979): the family-wise error rate is kept.

    A missing one (NaN) stays so, and does not count.
    """
    order = sorted((index for index in range(len(p)) if not math.isnan(p[index])), key=lambda index: p[index])
    corrected, largest = [math.nan] * len(p), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - place) * p[index]))
        corrected[index] = largest
    return corrected


def hopeless(test: str, smallest: Sequence[float], enough: int) -> list[str]:
    """A note where no p-value can fall below 5 % after Holm's correction, whatever the results.

    Args:
        test: Name of the test.
        smallest: The smallest p that its seeds allow, for every test that was made.
        enough: Number of seeds that would do.
    """
    if not smallest or len(smallest) * min(smallest) <= LEVEL:
        return []
    corrected = min(1.0, len(smallest) * min(smallest))
    count = f", which Holm's correction for {len(smallest)} pairs makes {corrected:.2g}" if len(smallest) > 1 else ""
    return [
        f"The {test} cannot call any pair different at p < {LEVEL}, whatever the results: with these seeds its "
        f"smallest p is {min(smallest):.2g}{count}. {enough} seeds would be enough."
    ]
