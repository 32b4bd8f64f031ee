"""The landscape of a space whose genotypes were all tried: effects of choices, and local optima.

Results are genotypes x seeds, higher is better; the index has a level for every choice. See
`analysis.cpbench.seeds_of_genotypes`.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.noise import seed_variance
from searchspace import SearchSpace

__all__ = ["choice_effects", "local_optima", "option_means"]


def option_means(values: pd.DataFrame) -> pd.DataFrame:
    """Main effects: the mean over all genotypes with an option, less the mean over all genotypes.

    Args:
        values: Genotypes x seeds.

    Returns:
        ``choice``, ``option``, ``effect`` (in the unit of the results), ``genotypes`` (their number).
    """
    means = values.mean(axis=1)
    rows = [
        {"choice": choice, "option": option, "effect": float(of.mean() - means.mean()), "genotypes": len(of)}
        for choice in _choices(values)
        for option, of in means.groupby(level=choice)
    ]
    return pd.DataFrame(rows)


def choice_effects(values: pd.DataFrame) -> pd.DataFrame:
    """Shares of the variance between genotypes, by main effects of choices and by their interactions.

    This is the analysis of variance of a full factorial design: the effect of a set of choices is the mean over all
    other choices, less the effects of its subsets. Interactions of three and more choices are summed up.

    Args:
        values: Genotypes x seeds, of all combinations of options.

    Returns:
        ``effect`` (choices joined by `` x ``, or ``higher order``), ``order``, ``share`` in 0..1 of the variance of
        the means. The last row, ``noise`` of order 0, is the part of this variance that comes from the seeds; the
        other shares contain it in proportion to their degrees of freedom. Empty if a combination is missing.
    """
    choices = _choices(values)
    means = values.mean(axis=1)
    shape = tuple(means.index.get_level_values(choice).nunique() for choice in choices)
    whole = float(means.var(ddof=0))
    if math.prod(shape) != len(values) or not whole:
        return pd.DataFrame(columns=["effect", "order", "share"])
    grid = means.sort_index().to_numpy(float).reshape(shape)
    parts: dict[tuple[int, ...], np.ndarray] = {(): grid.mean(keepdims=True)}
    rows: list[dict[str, Any]] = []
    for order in (1, 2):
        for axes in combinations(range(len(choices)), order):
            others = tuple(axis for axis in range(len(choices)) if axis not in axes)
            part = grid.mean(axis=others, keepdims=True)
            for smaller, effect in parts.items():
                if set(smaller) < set(axes):
                    part = part - effect
            parts[axes] = part
            name = " x ".join(choices[axis] for axis in axes)
            rows.append({"effect": name, "order": order, "share": float((part**2).mean()) / whole})
    rows.append({"effect": "higher order", "order": 3, "share": 1 - sum(row["share"] for row in rows)})
    noise = seed_variance(values.to_numpy(float)) / values.shape[1]
    rows.append({"effect": "noise", "order": 0, "share": noise / float(means.var(ddof=1))})
    return pd.DataFrame(rows)


def local_optima(values: pd.DataFrame, space: SearchSpace) -> pd.DataFrame:
    """Genotypes that are at least as good as all that differ from them in one choice.

    Args:
        values: Genotypes x seeds, higher is better.
        space: The space.

    Returns:
        Best first: a column for every choice, ``mean``, ``regret`` (the best mean less this one), ``basin`` (share of
        genotypes from which the steepest ascent ends there), ``p`` (one-sided, of its best neighbour being as good:
        a large one says that noise alone may have made this optimum).
    """
    genotypes = [space.genotype(dict(zip(space, key, strict=True))) for key in values.index.to_list()]
    means = dict(zip(genotypes, values.mean(axis=1).to_list(), strict=True))
    neighbours = {genotype: [other for other in space.neighbours(genotype) if other in means] for genotype in means}
    # A step leads to the best neighbour, or stays where none is better.
    step = {genotype: max((genotype, *near), key=means.__getitem__) for genotype, near in neighbours.items()}
    ends = dict.fromkeys(means, 0)
    for genotype in means:
        here = genotype
        while step[here] != here:
            here = step[here]
        ends[here] += 1
    error = math.sqrt(2 * seed_variance(values.to_numpy(float)) / values.shape[1])
    freedom = len(values) * (values.shape[1] - 1)
    best = max(means.values())
    rows = []
    for genotype in (genotype for genotype in means if step[genotype] == genotype):
        ahead = means[genotype] - max((means[other] for other in neighbours[genotype]), default=math.nan)
        rows.append(
            {
                **genotype,
                "mean": means[genotype],
                "regret": best - means[genotype],
                "basin": ends[genotype] / len(means),
                "p": float(stats.t.sf(ahead / error, freedom)),
            }
        )
    return pd.DataFrame(rows).sort_values("mean", ascending=False, ignore_index=True)


def _choices(values: pd.DataFrame) -> list[str]:
    return [str(name) for name in values.index.names]
