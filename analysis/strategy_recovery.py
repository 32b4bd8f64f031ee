"""Recovery of planted answers by strategy, for comparisons on datasets whose answer is known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from analysis.recovery import Found, answer_of, recovery
from atrc.config import Config
from atrc.experiments.comparison import SEARCH, incumbents
from atrc.runs import RunDirectory
from atrc.runs.names import run_path

__all__ = ["found_along_the_way", "recovery_along_the_way", "recovery_tests"]

Points = dict[str, dict[float, list[Found]]]


def found_along_the_way(config: Config, folder: Path) -> Points:
    """Strategy (label) -> fraction of the budget -> results that its searches would have named then, one per seed.

    Empty where there are no searches, where the dataset names no answer, or where the space has no block for any
    planted pair.
    """
    if not any(folder.glob(f"{SEARCH}*")):
        return {}
    assert config.compare is not None
    answer = answer_of(config)
    if answer is None:
        return {}
    points: Points = {}
    for label in config.compare.strategies:
        for seed in config.seeds:
            run = RunDirectory.open(run_path(folder, f"{SEARCH}{label}", seed))
            for incumbent in incumbents(run, config.compare):
                one = Found(incumbent.genotype, answer, label, round(incumbent.fraction * run.result().samples))
                if one.planted:
                    points.setdefault(label, {}).setdefault(incumbent.fraction, []).append(one)
    return points


def recovery_along_the_way(points: Points) -> pd.DataFrame:
    """`analysis.recovery.recovery` of every strategy and fraction of the budget; ``condition`` is the strategy."""
    parts = [
        recovery({label: found}).assign(fraction=fraction)
        for label, of in points.items()
        for fraction, found in sorted(of.items())
    ]
    return pd.concat(parts, ignore_index=True)


def recovery_tests(found: Mapping[str, Sequence[Found]]) -> pd.DataFrame:
    """Tests, by permutation, whether two strategies find the same share of planted blocks; for every pair.

    Runs are exchanged between the two strategies: all ways to do so where they are at most 200,000, as for ten runs a
    side, otherwise 200,000 drawn ones. Unlike the signed-rank test it takes no pairs, and does not suffer from ties.

    Args:
        found: Strategy -> results of its searches.

    Returns:
        ``one``, ``other``, ``difference`` (of the mean shares, one minus other), ``p`` (two-sided; missing where a
        side has one run only, which tests nothing).
    """
    shares = {label: np.array([one.hits / len(one.planted) for one in of]) for label, of in found.items()}
    rows = []
    for one, other in combinations(shares, 2):
        sides = shares[one], shares[other]
        p = math.nan
        if min(map(len, sides)) > 1:
            p = float(stats.permutation_test(sides, _difference, n_resamples=200_000, vectorized=True, rng=0).pvalue)
        rows.append((one, other, float(_difference(*sides, axis=0)), p))
    return pd.DataFrame(rows, columns=["one", "other", "difference", "p"])


def _difference(one: np.ndarray, other: np.ndarray, axis: int) -> np.ndarray:
    difference: np.ndarray = one.mean(axis=axis) - other.mean(axis=axis)
    return difference
