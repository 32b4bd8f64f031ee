"""Trees that searches of the branching space found: their nodes, their cost, and how far they are alike.

Bruggemann et al., BMVC 2020. All functions but `stage_costs` take genotypes of one branching
space (`analysis.spaces.TreeSpace`).
Many genotypes are one tree; here only the tree counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import pandas as pd
import torch

from analysis.agreement import over_runs, share_alike
from analysis.spaces import TreeSpace, tree_space
from atrc.config import Config, Cost
from atrc.setup import Setup
from atrc.supernets import TreeCosts
from searchspace import Genotype, InputError

__all__ = ["SEPARATOR", "TreeAgreement", "same_trees", "stage_costs", "tree_agreement", "trees"]

SEPARATOR = ", "
"""Text between the tasks of a group."""


def same_trees(found: Mapping[str, Genotype]) -> list[list[str]]:
    """The runs that found the same tree, together; in the order of their first ones."""
    space = tree_space(list(found.values()))
    runs: dict[Genotype, list[str]] = {}
    for run, genotype in found.items():
        runs.setdefault(space.canonical(genotype), []).append(run)
    return list(runs.values())


def trees(found: Mapping[str, Genotype], costs: TreeCosts | None = None) -> pd.DataFrame:
    """Every node of every tree, from the image to the heads.

    Args:
        found: Run -> genotype.
        costs: Costs of the backbone's stages, if known; see `stage_costs`.

    Returns:
        ``run``; ``tree``: its number, from 1, the same for runs that found the same tree; ``stage``, from 1;
        ``tasks``: those that share the node; ``cost``: of the node, as share in 0..1 of N backbones, one a task,
        missing where costs are not known. A run's costs add up to its tree's.
    """
    space = tree_space(list(found.values()))
    numbers = {run: number for number, runs in enumerate(same_trees(found), 1) for run in runs}
    shares = [math.nan] * space.stages
    if costs is not None:
        shares = [cost / (len(space.tasks) * sum(costs.stages)) for cost in costs.stages]
    return pd.DataFrame(
        [
            (run, numbers[run], stage, SEPARATOR.join(group), share)
            for run, genotype in found.items()
            for stage, (groups, share) in enumerate(zip(space.tree(genotype), shares, strict=True), 1)
            for group in groups
        ],
        columns=["run", "tree", "stage", "tasks", "cost"],
    )


def stage_costs(config: Config, space: TreeSpace) -> TreeCosts | None:
    """Multiply-adds of the stages of a config's backbone, for one image of its dataset; nothing is computed.

    Returns:
        None where the backbone or the dataset cannot be described here (a library or a folder is not there), or the
        config is not one of this space.
    """
    counted = config.model_copy(update={"cost": Cost(measure="multiply_adds")})
    try:
        costs = Setup.of(counted).costs(torch.device("cpu"))
    except InputError:
        return None
    return costs if isinstance(costs, TreeCosts) and costs.space == space else None


@dataclass(frozen=True)
class TreeAgreement:
    """Agreement of the trees of several searches.

    In a tree, two tasks share a stage or they do not. Two searches agree on a pair of tasks and a stage where both
    trees share it, or neither does.

    Attributes:
        table: One row per stage and pair of tasks: ``stage``, ``task``, ``other``, ``shared`` (the share of runs, in
            0..1, whose tree shares the stage), ``agreement`` (the share of run pairs that agree), ``low``, ``high``:
            its 95 % bootstrap interval over runs, pairs of a run with itself left out; missing for two runs.
        overall: One row per figure: ``measure`` (``distinct_trees``; ``agreement``: the mean over stages and pairs of
            tasks, in 0..1, not corrected for chance; missing for one task), ``value``, ``low``, ``high`` (likewise
            over runs; a number of trees has none).
        runs: Number of genotypes.
    """

    table: pd.DataFrame
    overall: pd.DataFrame
    runs: int

    def _value(self, measure: str) -> float:
        return float(self.overall[self.overall["measure"] == measure]["value"].iloc[0])

    @property
    def mean(self) -> float:
        """Mean agreement over stages and pairs of tasks, in 0..1."""
        return self._value("agreement")

    @property
    def distinct(self) -> int:
        """Number of different trees."""
        return int(self._value("distinct_trees"))


def tree_agreement(genotypes: Sequence[Genotype], *, seed: int = 0) -> TreeAgreement:
    """Share of task pairs and stages that are alike in two runs, shared in both or in neither; for all run pairs.

    Args:
        genotypes: One per run.
        seed: Seed of the bootstrap.

    Raises:
        InputError: Fewer than two genotypes, or of different spaces.
    """
    space = tree_space(genotypes)
    n = len(genotypes)
    if n < 2:
        raise InputError(f"agreement needs at least two runs, got {n}")
    paths = [{task: space.path(genotype, task) for task in space.tasks} for genotype in genotypes]
    places = list(product(range(1, space.stages + 1), combinations(space.tasks, 2)))
    shared = np.array([[of[a][stage - 1] == of[b][stage - 1] for of in paths] for stage, (a, b) in places])
    shared = shared.reshape(len(places), n)  # of one task there are no pairs
    kinds = shared.astype(np.int64)
    agreed = np.array([share_alike(of) for of in kinds])

    def interval(of: np.ndarray) -> tuple[float, float]:
        return over_runs(of, seed) if n > 2 else (math.nan, math.nan)  # one pair has no spread

    table = pd.DataFrame(
        [
            (stage, *tasks, of.mean(), share, *interval(of[None]))
            for (stage, tasks), of, share in zip(places, kinds, agreed, strict=True)
        ],
        columns=["stage", "task", "other", "shared", "agreement", "low", "high"],
    )
    mean = [math.nan] * 3
    if places:
        mean = [float(agreed.mean()), *interval(kinds)]
    distinct = len({space.canonical(genotype) for genotype in genotypes})
    rows = [("distinct_trees", distinct, math.nan, math.nan), ("agreement", *mean)]
    return TreeAgreement(table, pd.DataFrame(rows, columns=["measure", "value", "low", "high"]), n)
