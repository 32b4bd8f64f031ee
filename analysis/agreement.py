"""How reliably searches pick the same context (Sec. 4.4), as the paper counts it and beyond chance."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import krippendorff
import numpy as np
import pandas as pd

from analysis.bootstrap import bootstrap, bootstrap_mean
from analysis.genotypes import context_space
from searchspace import Genotype, InputError, block

__all__ = ["Agreement", "agreement", "fleiss_kappa", "krippendorff_alpha", "over_runs"]

RESAMPLES = 1000


@dataclass(frozen=True)
class Agreement:
    """Agreement between searches.

    Attributes:
        blocks: Target rows x source columns: the share of run pairs, in 0..1, that picked the same context.
        table: One row per block: ``target``, ``source``, ``agreement``, ``low``, ``high``: its 95 % bootstrap
            interval over runs, pairs of a run with itself left out.
        overall: One row per figure: ``measure`` (``agreement``: the mean over blocks, in 0..1, not corrected for
            chance; ``fleiss_kappa``; ``krippendorff_alpha``), ``value``, ``low``, ``high``: its 95 % bootstrap
            interval over blocks. The last two are missing (NaN) where all runs picked one context everywhere.
        runs: Number of genotypes.
    """

    blocks: pd.DataFrame
    table: pd.DataFrame
    overall: pd.DataFrame
    runs: int

    def value(self, measure: str) -> float:
        """One of ``overall``'s values."""
        return float(self.overall[self.overall["measure"] == measure]["value"].iloc[0])

    @property
    def mean(self) -> float:
        """Mean agreement over blocks, in 0..1."""
        return self.value("agreement")

    @property
    def kappa(self) -> float:
        """Fleiss' kappa."""
        return self.value("fleiss_kappa")


def agreement(genotypes: Sequence[Genotype], *, seed: int = 0) -> Agreement:
    """Percentage agreement in candidate selection between all pairs of runs (Sec. 4.4), with chance corrections.

    For kappa and alpha, blocks are the subjects, runs the raters and context types the categories. All blocks share
    one chance distribution, the overall shares; that the diagonal has one candidate less is not modelled.

    Args:
        genotypes: One per run.
        seed: Of the bootstrap.

    Raises:
        InputError: Fewer than two genotypes, or of different spaces.
    """
    space = context_space(genotypes)
    n = len(genotypes)
    if n < 2:
        raise InputError(f"agreement needs at least two runs, got {n}")
    pairs = list(combinations(range(n), 2))
    same = np.array([[genotypes[a][choice] == genotypes[b][choice] for a, b in pairs] for choice in space])
    shares = same.mean(1)
    intervals = [over_runs(row, pairs, n, seed) for row in same]
    table = pd.DataFrame(
        [
            {"target": target, "source": source, "agreement": share, "low": low, "high": high}
            for (target, source), share, (low, high) in zip(space.pairs(), shares, intervals, strict=True)
        ]
    )
    blocks = table.pivot(index="target", columns="source", values="agreement").loc[[*space.tasks], [*space.tasks]]
    counted = [Counter(genotype[block(*pair)] for genotype in genotypes) for pair in space.pairs()]
    counts = np.array([[counter[context] for context in space.contexts] for counter in counted])
    rows = [
        ("agreement", float(shares.mean()), *bootstrap_mean(shares, seed=seed)),
        ("fleiss_kappa", *_over_blocks(fleiss_kappa, counts, seed)),
        ("krippendorff_alpha", *_over_blocks(krippendorff_alpha, counts, seed)),
    ]
    return Agreement(blocks, table, pd.DataFrame(rows, columns=["measure", "value", "low", "high"]), n)


def _over_blocks(of: Callable[[np.ndarray], float], counts: np.ndarray, seed: int) -> tuple[float, float, float]:
    """A coefficient and its interval."""

    def drawn_coefficient(drawn: np.ndarray) -> np.ndarray:
        return np.array([of(counts[row]) for row in drawn])

    return of(counts), *bootstrap(drawn_coefficient, len(counts), resamples=RESAMPLES, seed=seed)


def over_runs(same: np.ndarray, pairs: Sequence[tuple[int, int]], n: int, seed: int) -> tuple[float, float]:
    """95 % bootstrap interval of an agreement over runs; a resample's pairs of a run with itself are left out.

    Args:
        same: ``(len(pairs),)``: how far each pair of runs is of one mind, in 0..1.
        pairs: Pairs of different runs.
        n: Number of runs.
        seed: Of the resampling.
    """
    first, second = np.array(pairs).T

    def drawn_agreement(drawn: np.ndarray) -> np.ndarray:
        times = (drawn[:, :, None] == np.arange(n)).sum(1)
        weights = times[:, first] * times[:, second]
        total = weights.sum(1)
        return np.divide(weights @ same, total, out=np.full(len(drawn), np.nan), where=total > 0)

    return bootstrap(drawn_agreement, n, resamples=RESAMPLES, seed=seed)


def fleiss_kappa(counts: np.ndarray) -> float:
    """Agreement among several raters beyond chance (Fleiss, Psychological Bulletin 76, 1971).

    Args:
        counts: ``(subjects, categories)``: how many raters put the subject into the category.

    Returns:
        1 for full agreement, 0 for what chance gives, negative below; NaN where only one category was ever used
        (0 / 0).

    Raises:
        InputError: Another shape, or rows with different sums, or sums below 2.
    """
    from statsmodels.stats.inter_rater import fleiss_kappa as kappa  # a second that other commands need not wait

    counts = _checked(counts)
    return math.nan if (counts.sum(0) > 0).sum() < 2 else float(kappa(counts))


def krippendorff_alpha(counts: np.ndarray) -> float:
    """Krippendorff's alpha for nominal data: as kappa, but its chance knows that raters are few.

    Args:
        counts: See `fleiss_kappa`.

    Returns:
        At most 1; NaN where only one category was ever used.

    Raises:
        InputError: See `fleiss_kappa`.
    """
    counts = _checked(counts)
    if (counts.sum(0) > 0).sum() < 2:
        return math.nan
    return float(krippendorff.alpha(value_counts=counts, level_of_measurement="nominal"))


def _checked(counts: np.ndarray) -> np.ndarray:
    counts = np.asarray(counts)
    if counts.ndim != 2 or not counts.size:
        raise InputError(f"agreement needs counts of shape (subjects, categories), got {counts.shape}")
    raters = counts[0].sum()
    if raters < 2 or (counts.sum(1) != raters).any():
        raise InputError(
            f"agreement needs the same number of raters, at least 2, for every subject; got {counts.sum(1)}"
        )
    return counts
