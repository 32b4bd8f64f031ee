"""Genotypes that searches found: matrices, shares of options (Fig. 7), distances, and their consensus.

`matrix` and `matrices` take genotypes of context-pooling blocks (`analysis.spaces.BlockSpace`), all other functions
those of any one space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.bootstrap import bootstrap_mean
from analysis.load import Runs, once
from analysis.spaces import BlockSpace, common_space, context_space, options_of
from atrc.config import config_value
from atrc.experiments.consensus import last_probabilities
from searchspace import Genotype, SearchSpace, block, find_consensus
from searchspace.consensus import Probabilities

__all__ = [
    "PARTS",
    "conditions",
    "consensus",
    "distances",
    "listing",
    "matrices",
    "matrix",
    "proportions",
    "search_groups",
    "with_consensus",
]

PARTS = ("all", "diagonal", "off-diagonal")
"""Groups of blocks: all, those of a task with itself (target = source), those between tasks."""


def matrix(genotype: Genotype) -> pd.DataFrame:
    """The genotype as a table of context names: target rows x source columns."""
    tasks = context_space([genotype]).tasks
    rows = {target: {source: genotype[block(target, source)] for source in tasks} for target in tasks}
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


def listing(genotypes: Mapping[str, Genotype]) -> pd.DataFrame:
    """Several genotypes of any space in one long table: ``run``, ``choice``, ``option``."""
    rows = [(run, choice, option) for run, genotype in genotypes.items() for choice, option in genotype.items()]
    return pd.DataFrame(rows, columns=["run", "choice", "option"])


def proportions(genotypes: Sequence[Genotype]) -> pd.DataFrame:
    """Share of each option over all choices of all runs; for context-pooling blocks, of each context (Fig. 7).

    Returns:
        ``blocks`` (one of `PARTS`; ``all`` alone where choices are not pairs of tasks), ``context``, ``count``,
        ``total``, ``share`` in 0..1, ``low`` and ``high`` (its 95 % bootstrap interval over runs; missing for one
        run), for every option of the space, chosen or not. ``s_label`` is not offered on the diagonal, so its share
        there is 0 by construction.
    """
    space = common_space(genotypes)
    rows = []
    for part, choices in _parts(space).items():
        for option in options_of(space):
            counts = np.array([sum(genotype[choice] == option for choice in choices) for genotype in genotypes])
            # a single task has no block off the diagonal
            shares = counts / len(choices) if choices else np.full(len(genotypes), np.nan)
            low, high = bootstrap_mean(shares)
            rows.append((part, option, counts.sum(), len(choices) * len(genotypes), shares.mean(), low, high))
    return pd.DataFrame(rows, columns=["blocks", "context", "count", "total", "share", "low", "high"])


def _parts(space: SearchSpace) -> dict[str, list[str]]:
    """The groups of choices whose shares are counted apart."""
    if not isinstance(space, BlockSpace):
        return {"all": list(space)}
    return {
        part: [
            block(target, source)
            for target, source in space.pairs()
            if part == "all" or (target == source) is (part == "diagonal")
        ]
        for part in PARTS
    }


def conditions(
    runs: Runs, by: str | None = None, experiments: Sequence[str] | None = None
) -> dict[str, list[Genotype]]:
    """Groups the genotypes of searches.

    Args:
        runs: The runs.
        by: A key of the config, e.g. ``strategy.name`` or ``dataset.name``, whose value names the condition; by
            default the experiment, with the model where searches of several kinds are in it.
        experiments: The experiments whose searches are taken; by default all.

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
    """Number of choices in which two genotypes differ: runs x runs."""
    space = common_space(list(genotypes.values()))
    chosen = np.array([space.encode(genotype) for genotype in genotypes.values()])
    apart = sum((of[:, None] != of).astype(int) for of in chosen.T)
    return pd.DataFrame(apart, index=list(genotypes), columns=list(genotypes))


def consensus(genotypes: Sequence[Genotype], probabilities: Sequence[Probabilities | None] | None = None) -> Genotype:
    """The option that most runs picked, choice by choice; see `searchspace.find_consensus`.

    Among equally frequent ones it is the most probable, by the mean logarithm, where ``probabilities`` are given,
    else the first in the space's order.
    """
    return find_consensus(common_space(genotypes), genotypes, probabilities).genotype


@once
def with_consensus(runs: Runs, experiment: str) -> dict[str, Genotype]:
    """Genotypes that an experiment's searches found and, if there are several, ``consensus``: theirs.

    It is that of ``atrc consensus``: ties are broken by the probabilities of the searches.
    """
    found = runs.found(experiment)
    if len(found) < 2:
        return found
    genotypes = list(found.values())
    searches = (runs.directories[path] for path in runs.searches(experiment)["path"])
    said = [last_probabilities(run, common_space(genotypes)) for run in searches]
    return {**found, "consensus": consensus(genotypes, said)}
