"""Agreement of searches (Sec. 4.4): how reliably they choose the same, as the paper counts it and beyond chance."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import krippendorff
import numpy as np
import pandas as pd

from analysis.bootstrap import bootstrap, bootstrap_mean
from analysis.spaces import BlockSpace, common_space, options_of
from searchspace import Genotype, InputError

__all__ = ["Agreement", "agreement", "fleiss_kappa", "krippendorff_alpha", "over_runs", "share_alike"]

RESAMPLES = 1000


@dataclass(frozen=True)
class Agreement:
    """Agreement between searches.

    Attributes:
        blocks: Target rows x source columns: the share of run pairs, in 0..1, that picked the same context. Empty
            where choices are not pairs of tasks.
        table: One row per choice: ``target``, ``source`` of a block, or the ``choice``; ``agreement``, ``low``,
            ``high``: its 95 % bootstrap interval over runs, pairs of a run with itself left out.
        overall: One row per figure: ``measure`` (``agreement``: the mean over choices, in 0..1, not corrected for
            chance; ``fleiss_kappa``; ``krippendorff_alpha``), ``value``, ``low``, ``high``: its 95 % bootstrap
            interval over choices. The last two are missing (NaN) where all runs picked one option everywhere, or no
            option is open to all choices.
        runs: Number of genotypes.
    """

    blocks: pd.DataFrame
    table: pd.DataFrame
    overall: pd.DataFrame
    runs: int

    def value(self, measure: str) -> float:
        """The value of one ``measure`` of ``overall``."""
        return float(self.overall[self.overall["measure"] == measure]["value"].iloc[0])

    @property
    def mean(self) -> float:
        """Mean agreement over choices, in 0..1."""
        return self.value("agreement")

    @property
    def kappa(self) -> float:
        """Fleiss' kappa."""
        return self.value("fleiss_kappa")


def agreement(genotypes: Sequence[Genotype], *, seed: int = 0) -> Agreement:
    """Percentage agreement in candidate selection between all pairs of runs (Sec. 4.4), with chance corrections.

    For kappa and alpha, choices are the subjects, runs the raters and options the categories. All choices share one
    chance distribution, the overall shares; that some have fewer options (the diagonal blocks) is not modelled.

    Args:
        genotypes: One per run, of any one space.
        seed: Seed of the bootstrap.

    Raises:
        InputError: Fewer than two genotypes, or of different spaces.
    """
    space = common_space(genotypes)
    n = len(genotypes)
    if n < 2:
        raise InputError(f"agreement needs at least two runs, got {n}")
    kinds = np.array([space.encode(genotype) for genotype in genotypes]).T
    shares = np.array([share_alike(row) for row in kinds])
    intervals = [over_runs(row[None], seed) for row in kinds]
    table, blocks = pd.DataFrame({"choice": list(space)}), pd.DataFrame()
    if isinstance(space, BlockSpace):
        table = pd.DataFrame(list(space.pairs()), columns=["target", "source"])
        blocks = table.assign(agreement=shares).pivot(index="target", columns="source", values="agreement")
        blocks = blocks.loc[[*space.tasks], [*space.tasks]]
    low, high = zip(*intervals, strict=True)
    table = table.assign(agreement=shares, low=low, high=high)
    counted = [Counter(genotype[choice] for genotype in genotypes) for choice in space]
    counts = np.array([[counter[option] for option in options_of(space)] for counter in counted])
    if not set.intersection(*(set(options) for options in space.values())):
        counts = counts[:, :0]  # choices that share no option have no chance in common
    rows = [
        ("agreement", float(shares.mean()), *bootstrap_mean(shares, seed=seed)),
        ("fleiss_kappa", *_over_choices(fleiss_kappa, counts, seed)),
        ("krippendorff_alpha", *_over_choices(krippendorff_alpha, counts, seed)),
    ]
    return Agreement(blocks, table, pd.DataFrame(rows, columns=["measure", "value", "low", "high"]), n)


def _over_choices(of: Callable[[np.ndarray], float], counts: np.ndarray, seed: int) -> tuple[float, float, float]:
    """A coefficient and its interval; NaN without categories."""
    if not counts.shape[1]:
        return math.nan, math.nan, math.nan

    def drawn_coefficient(drawn: np.ndarray) -> np.ndarray:
        return np.array([of(counts[row]) for row in drawn])

    return of(counts), *bootstrap(drawn_coefficient, len(counts), resamples=RESAMPLES, seed=seed)


def over_runs(kinds: np.ndarray, seed: int) -> tuple[float, float]:
    """95 % bootstrap interval, over runs, of the share of run pairs that are of one kind, averaged over things.

    A resample's pairs of a run with itself are left out. Pairs are counted by the sizes of kinds, so that time and
    memory grow with the number of runs and not with that of pairs.

    Args:
        kinds: ``(things, runs)`` whole numbers from 0: the kind of each run in each thing.
        seed: Seed of the resampling.
    """
    n = kinds.shape[1]

    def drawn_agreement(drawn: np.ndarray) -> np.ndarray:
        rows = np.arange(len(drawn))[:, None]
        times = np.zeros((len(drawn), n), np.int64)
        np.add.at(times, (rows, drawn), 1)  # how often each run was drawn
        total = n * n - (times**2).sum(1)  # ordered pairs of two different runs
        alike = np.zeros(len(drawn), np.int64)
        for thing in kinds:
            of_kind = thing[:, None] == np.arange(thing.max() + 1)
            alike += ((times @ of_kind) ** 2).sum(1) - (times**2).sum(1)
        return np.divide(alike / len(kinds), total, out=np.full(len(drawn), np.nan), where=total > 0)

    return bootstrap(drawn_agreement, n, resamples=RESAMPLES, seed=seed)


def share_alike(kinds: np.ndarray) -> float:
    """The share of run pairs that are of one kind, in 0..1.

    Args:
        kinds: ``(runs,)`` whole numbers from 0: the kind of each run.
    """
    sizes, runs = np.bincount(kinds), len(kinds)
    return float((sizes * (sizes - 1)).sum() / (runs * (runs - 1)))


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
    """Krippendorff's alpha for nominal data: as kappa, with a small-sample correction.

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
