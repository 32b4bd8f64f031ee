"""What searches found: matrices, shares of context types (Fig. 7), and the genotype that most runs agree on.

All functions but `conditions` take genotypes of one context-pooling space (`searchspace.CPSpace`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.bootstrap import bootstrap_mean
from analysis.load import Runs
from analysis.spaces import space_of_kind
from atrc.config import config_value
from atrc.experiments.consensus import last_probabilities
from searchspace import CPSpace, Genotype, block, find_consensus
from searchspace.consensus import Probabilities

__all__ = [
    "PARTS",
    "conditions",
    "consensus",
    "context_space",
    "distances",
    "matrices",
    "matrix",
    "proportions",
    "search_groups",
    "with_consensus",
]

PARTS = ("all", "diagonal", "off-diagonal")
"""Groups of blocks: all, those of a task with itself (target = source), those between tasks."""


def context_space(genotypes: Sequence[Genotype]) -> CPSpace:
    """The context-pooling space that the genotypes come from; see `analysis.spaces.space_of_kind`."""
    return space_of_kind(genotypes, "cp", CPSpace)


def matrix(genotype: Genotype) -> pd.DataFrame:
    """The genotype as a table of context names: target rows x source columns."""
    rows = context_space([genotype]).matrix(genotype)
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(index="target", columns="source")


def matrices(genotypes: Mapping[str, Genotype]) -> pd.DataFrame:
    """Several genotypes in one long table: ``run``, ``target``, ``source``, ``context``."""
    return pd.DataFrame(
        [
            {"run": run, "target": target, "source": source, "context": genotype[block(target, source)]}
            for run, genotype in genotypes.items()
            for target, source in context_space([genotype]).pairs()
        ],
        columns=["run", "target", "source", "context"],
    )


def proportions(genotypes: Sequence[Genotype]) -> pd.DataFrame:
    """Share of each context type over all blocks of all runs (Fig. 7).

    Returns:
        ``blocks`` (of `PARTS`), ``context``, ``count``, ``total``, ``share`` in 0..1, ``low`` and ``high`` (its 95 %
        bootstrap interval over runs; missing for one run), for every context type of the space, chosen or not.
        ``s_label`` is not offered on the diagonal, so its share there is 0 by construction.
    """
    space = context_space(genotypes)
    rows = []
    for part in PARTS:
        pairs = [
            block(target, source)
            for target, source in space.pairs()
            if part == "all" or (target == source) is (part == "diagonal")
        ]
        for context in space.contexts:
            counts = np.array([sum(genotype[pair] == context for pair in pairs) for genotype in genotypes])
            # a single task has no block off the diagonal
            shares = counts / len(pairs) if pairs else np.full(len(genotypes), np.nan)
            low, high = bootstrap_mean(shares)
            rows.append((part, context, counts.sum(), len(pairs) * len(genotypes), shares.mean(), low, high))
    return pd.DataFrame(rows, columns=["blocks", "context", "count", "total", "share", "low", "high"])


def conditions(
    runs: Runs, by: str | None = None, experiments: Sequence[str] | None = None
) -> dict[str, list[Genotype]]:
    """The genotypes of searches, put together by what they have in common.

    Args:
        runs: The runs.
        by: A key of the config, e.g. ``strategy.name`` or ``dataset.name``, whose value names the condition; by
            default the experiment, with the model where searches of several kinds are in it.
        experiments: Whose searches; by default all.

    Raises:
        InputError: A config has no such key.
    """
    groups = search_groups(runs, by, experiments)
    return {name: [runs.genotypes[path] for path in paths] for name, paths in groups.items()}


def search_groups(
    runs: Runs, by: str | None = None, experiments: Sequence[str] | None = None
) -> dict[str, list[str]]:
    """Condition -> paths of its searches; see `conditions`."""
    if by is not None:  # a wrong key is wrong whether or not there are searches
        for directory in runs.directories.values():
            config_value(directory.config, by)
    found: dict[str, list[str]] = {}
    for experiment in runs.experiments if experiments is None else experiments:
        rows = runs.searches(experiment)
        several = rows["model"].nunique() > 1
        for row in rows.to_dict("records"):
            name = f"{experiment}, {row['model']}" if several else experiment
            if by is not None:
                name = f"{by}={config_value(runs.directories[row['path']].config, by)}"
            found.setdefault(name, []).append(row["path"])
    return found


def distances(genotypes: Mapping[str, Genotype]) -> pd.DataFrame:
    """Runs x runs: in how many blocks two genotypes differ."""
    space = context_space(list(genotypes.values()))
    chosen = np.array([space.encode(genotype) for genotype in genotypes.values()])
    apart = sum((of[:, None] != of).astype(int) for of in chosen.T)
    return pd.DataFrame(apart, index=list(genotypes), columns=list(genotypes))


def consensus(genotypes: Sequence[Genotype], probabilities: Sequence[Probabilities | None] | None = None) -> Genotype:
    """The context that most runs picked, block by block; see `searchspace.find_consensus`.

    Of equally frequent ones it is the most probable, by the mean logarithm, where ``probabilities`` are given, else
    the first in the space's order.
    """
    return find_consensus(context_space(genotypes), genotypes, probabilities).genotype


def with_consensus(runs: Runs, experiment: str) -> dict[str, Genotype]:
    """What an experiment's searches found and, of several, under that name their `consensus`.

    It is that of ``atrc consensus``: ties are broken by what the searches say.
    """
    found = runs.found(experiment)
    if len(found) < 2:
        return found
    genotypes = list(found.values())
    searches = (runs.directories[path] for path in runs.searches(experiment)["path"])
    said = [last_probabilities(run, context_space(genotypes)) for run in searches]
    return {**found, "consensus": consensus(genotypes, said)}
