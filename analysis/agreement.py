"""How reliably searches pick the same context: agreement of run pairs (Sec. 4.4), and Fleiss' kappa beside it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from analysis.genotypes import context_space
from searchspace import Genotype, InputError, block

__all__ = ["Agreement", "agreement", "fleiss_kappa"]


@dataclass(frozen=True)
class Agreement:
    """Agreement between searches.

    Attributes:
        blocks: Target rows x source columns: the share of run pairs, in 0..1, that picked the same context.
        mean: Mean over blocks, in 0..1. Not corrected for chance.
        kappa: Fleiss' kappa over the blocks; see `fleiss_kappa`. Missing (NaN) where all runs picked one and the
            same context everywhere.
        runs: Number of genotypes.
    """

    blocks: pd.DataFrame
    mean: float
    kappa: float
    runs: int


def agreement(genotypes: Sequence[Genotype]) -> Agreement:
    """Percentage agreement in candidate selection between all pairs of runs (Sec. 4.4), with a chance correction.

    For kappa, blocks are the subjects, runs the raters and context types the categories. All blocks share one
    chance distribution, the overall shares; that the diagonal has one candidate less is not modelled.

    Raises:
        InputError: Fewer than two genotypes, or of different spaces.
    """
    space = context_space(genotypes)
    if len(genotypes) < 2:
        raise InputError(f"agreement needs at least two runs, got {len(genotypes)}")
    pairs = list(combinations(genotypes, 2))
    rows = {
        target: {
            source: sum(a[block(target, source)] == b[block(target, source)] for a, b in pairs) / len(pairs)
            for source in space.tasks
        }
        for target in space.tasks
    }
    blocks = pd.DataFrame.from_dict(rows, orient="index").rename_axis(index="target", columns="source")
    counted = [Counter(genotype[choice] for genotype in genotypes) for choice in space]
    counts = np.array([[counter[context] for context in space.contexts] for counter in counted])
    return Agreement(blocks, float(blocks.to_numpy().mean()), fleiss_kappa(counts), len(genotypes))


def fleiss_kappa(counts: np.ndarray) -> float:
    """Agreement among several raters beyond chance (Fleiss, Psychological Bulletin 76, 1971).

    ``kappa = (P - P_e) / (1 - P_e)``, where P is the mean over subjects of the share of rater pairs that agree, and
    P_e the sum of the squared overall shares of the categories.

    Args:
        counts: ``(subjects, categories)``: how many raters put the subject into the category. Every row has the
            same sum, the number of raters, which is at least 2.

    Returns:
        1 for full agreement, 0 for what chance gives, negative below; NaN where only one category was ever used
        (0 / 0).

    Raises:
        InputError: Another shape, or rows with different sums.
    """
    counts = np.asarray(counts, dtype=float)
    if counts.ndim != 2 or not counts.size:
        raise InputError(f"Fleiss' kappa needs counts of shape (subjects, categories), got {counts.shape}")
    raters = counts[0].sum()
    if raters < 2 or (counts.sum(1) != raters).any():
        raise InputError(
            f"Fleiss' kappa needs the same number of raters, at least 2, for every subject; got {counts.sum(1)}"
        )
    observed = float(((counts**2).sum(1) - raters).mean() / (raters * (raters - 1)))
    chance = float(((counts.sum(0) / counts.sum()) ** 2).sum())
    return (observed - chance) / (1 - chance) if chance < 1 else math.nan
