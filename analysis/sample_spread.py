"""How much the genotypes differ that a finished search would sample: the variance that entropy annealing is to lower.

A search holds probabilities of options. Where a table knows every genotype, the mean and the spread of what a sample
is worth need no draws: they are sums over all genotypes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from atrc.runs import RunDirectory
from searchspace import Genotype
from searchspace.answers import Answers

__all__ = ["sample_moments", "samples_of_searches"]


def sample_moments(
    probabilities: Mapping[str, Mapping[str, float]], means: Mapping[Genotype, float]
) -> tuple[float, float]:
    """Returns the mean and the standard deviation of what a sampled genotype is worth.

    Args:
        probabilities: Choice -> option -> probability; choices are drawn independently.
        means: Genotype -> what it is worth, for all genotypes.
    """
    weights = np.array([math.prod(probabilities[c][o] for c, o in genotype.items()) for genotype in means])
    values = np.array(list(means.values()), dtype=float)
    weights = weights / weights.sum()
    mean = float((weights * values).sum())
    return mean, math.sqrt(max(0.0, float((weights * (values - mean) ** 2).sum())))


def samples_of_searches(runs: Iterable[tuple[str, RunDirectory]], answers: Answers) -> pd.DataFrame:
    """Moments of the samples of finished searches, at their last logged step; frozen choices do not vary.

    Args:
        runs: Name of the strategy, and search; searches that log no probabilities are left out.
        answers: What every genotype is worth.

    Returns:
        ``strategy``, ``seed``, ``mean`` and ``std`` of a sample, ``named`` (what the named genotype is worth).
    """
    rows = []
    for strategy, run in runs:
        lines = [line for line in run.lines("architecture.jsonl") if "probabilities" in line]
        genotype = run.genotype()
        if not lines or genotype is None:
            continue
        last = lines[-1]
        mean, std = sample_moments(_settled(last["probabilities"], last.get("frozen", ()), genotype), answers.means)
        rows.append((strategy, run.spec.seed, mean, std, answers.means[genotype]))
    return pd.DataFrame(rows, columns=["strategy", "seed", "mean", "std", "named"])


def _settled(
    probabilities: Mapping[str, Mapping[str, float]], frozen: Sequence[str], genotype: Genotype
) -> dict[str, Mapping[str, float]]:
    """Gives frozen choices all probability at their option."""
    return {
        choice: {option: float(option == genotype[choice]) for option in of} if choice in frozen else of
        for choice, of in probabilities.items()
    }
