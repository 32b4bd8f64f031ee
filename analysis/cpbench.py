"""Reads tables of a space, and tells how much of them is noise, and which genotypes can be told apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.noise import intraclass_correlation, noise_ceiling, seed_variance
from analysis.recovery import Found, answer_of
from analysis.significance import LEVEL, holm
from atrc.cpbench import Tabled
from atrc.setup import Setup
from searchspace import Genotype, InputError, SearchSpace

__all__ = [
    "TableFacts",
    "budget_agreement",
    "planted_genotypes",
    "query_table",
    "seeds_of_genotypes",
    "table_facts",
    "table_results",
    "worse_than_best",
]


@dataclass(frozen=True)
class TableFacts:
    """Facts about a table.

    Attributes:
        name: Its name.
        genotypes: Number of genotypes of the space.
        seeds: Number of seeds.
        budgets: Numbers of steps after which networks were measured.
        missing: Number of networks (genotype and seed) that are not there at every budget.
        genotype_share: Share of the variance of Delta_m at the full budget that lies between genotypes; see
            `analysis.noise.intraclass_correlation`.
        noise_ceiling: The highest correlation with one new seed that a predictor of Delta_m can have.
        distinguishable: Number of genotypes that are significantly worse than the best; see `worse_than_best`.
        planted: Number of genotypes that have every planted context; 0 where nothing was planted.
        planted_rank: Rank of the best of these, from 1; 0 where nothing was planted.
        planted_p: Its p-value of being worse than the best, after correction; 1 where nothing was planted.
    """

    name: str
    genotypes: int
    seeds: int
    budgets: Sequence[int]
    missing: int
    genotype_share: float
    noise_ceiling: float
    distinguishable: int
    planted: int
    planted_rank: int
    planted_p: float

    def as_dict(self) -> dict[str, Any]:
        """Returns the facts as plain values; those of what was planted only where something was."""
        facts = asdict(self)
        return facts if self.planted else {key: facts[key] for key in facts if not key.startswith("planted")}


def table_results(table: Tabled) -> pd.DataFrame:
    """Reads a table: one row per genotype, seed and budget.

    Returns:
        A column for every choice, with options, and the columns of results, all numbers; see `atrc.cpbench`.

    Raises:
        InputError: The table cannot be read, or a row is of another space.
    """
    space = Setup.of(table.card.config).space
    read = table.read()
    rows = [
        {**space.genotype(row.choices), **{column: row.number(column) for column in read.results}}
        for row in read.rows()
    ]
    return pd.DataFrame(rows).astype({"seed": int, "steps": int})


def seeds_of_genotypes(results: pd.DataFrame, choices: Sequence[str], steps: int) -> pd.DataFrame:
    """Returns Delta_m at one budget as genotypes x seeds, without genotypes that lack a seed.

    Args:
        results: See `table_results`.
        choices: The choices of the space.
        steps: The budget.

    Returns:
        A row per genotype, whose index has a level for every choice; a column per seed.
    """
    rows = results[results["steps"] == steps]
    return rows.set_index([*choices, "seed"])["delta_m"].unstack("seed").dropna()


def table_facts(table: Tabled, results: pd.DataFrame) -> TableFacts:
    """Returns the facts about a table.

    Args:
        table: The table.
        results: See `table_results`.
    """
    card, space = table.card, Setup.of(table.card.config).space
    expected = space_size(space) * len(card.seeds)
    counted = results.dropna(subset=["delta_m"]).groupby([*space, "seed"])["steps"].nunique()
    values = seeds_of_genotypes(results, list(space), card.budgets[-1])
    worse = worse_than_best(values)
    planted = [key for one in planted_genotypes(table) if (key := tuple(one.values())) in worse.index]
    of_planted = worse.loc[planted].sort_values("rank")
    share = intraclass_correlation(values.to_numpy(float))
    return TableFacts(
        name=table.name,
        genotypes=space_size(space),
        seeds=len(card.seeds),
        budgets=list(card.budgets),
        missing=expected - int((counted == len(card.budgets)).sum()),
        genotype_share=share,
        noise_ceiling=noise_ceiling(share),
        distinguishable=int((worse["p_holm"] < LEVEL).sum()),
        planted=len(planted),
        planted_rank=int(of_planted["rank"].iloc[0]) if planted else 0,
        planted_p=float(of_planted["p_holm"].fillna(1.0).iloc[0]) if planted else 1.0,
    )


def planted_genotypes(table: Tabled) -> list[Genotype]:
    """Returns the genotypes that have every planted context; pairs that need nothing may have any."""
    config = table.card.config
    answer = answer_of(config)
    if answer is None:
        return []
    found = [Found(genotype, answer, "", 0) for genotype in Setup.of(config).space.enumerate()]
    return [one.genotype for one in found if one.hits == len(one.planted)]


def worse_than_best(values: pd.DataFrame) -> pd.DataFrame:
    """Tests which genotypes are worse than the best one.

    Each is compared with the genotype of the best mean by a one-sided t-test, whose variance is that between seeds,
    pooled over all genotypes; p-values are corrected by Holm's method. The best one was chosen by the same seeds, so
    its mean is a little too high, and the tests find a little too much.

    Args:
        values: Genotypes x seeds, higher is better.

    Returns:
        For every genotype, best first: ``mean``, ``rank``, ``p``, ``p_holm`` (missing for the best itself).
    """
    means = values.mean(axis=1).sort_values(ascending=False, kind="stable")
    count, seeds = values.shape
    error = math.sqrt(2 * seed_variance(values.to_numpy(float)) / seeds)
    distances = (means.iloc[0] - means.iloc[1:]).to_numpy(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = stats.t.sf(distances / error, count * (seeds - 1))
    return pd.DataFrame(
        {
            "mean": means,
            "rank": means.rank(ascending=False, method="min").astype(int),
            "p": [math.nan, *p],
            "p_holm": [math.nan, *holm(list(p))],
        },
        index=means.index,
    )


def budget_agreement(results: pd.DataFrame, choices: Sequence[str], budgets: Sequence[int]) -> pd.DataFrame:
    """Compares the order of genotypes at smaller budgets with that at the full one.

    Args:
        results: See `table_results`.
        choices: The choices of the space.
        budgets: The budgets, in steps; the last one is the full one.

    Returns:
        ``steps``, ``genotype_share``, ``noise_ceiling``, and ``tau``: Kendall's tau-b between the means over seeds at
        this budget and at the full one.
    """
    full = seeds_of_genotypes(results, choices, budgets[-1]).mean(axis=1)
    rows = []
    for steps in budgets:
        values = seeds_of_genotypes(results, choices, steps)
        share = intraclass_correlation(values.to_numpy(float))
        both = pd.concat([values.mean(axis=1), full], axis=1, join="inner")
        tau = float(stats.kendalltau(both.iloc[:, 0], both.iloc[:, 1]).statistic)
        rows.append({"steps": steps, "genotype_share": share, "noise_ceiling": noise_ceiling(share), "tau": tau})
    return pd.DataFrame(rows)


def query_table(table: Tabled, options: Mapping[str, str], steps: int | None = None) -> pd.DataFrame:
    """Looks up genotypes.

    Args:
        table: The table.
        options: Choice -> option that genotypes must have; the other choices may have any.
        steps: The budget, in steps; by default the largest.

    Returns:
        One row per genotype, the best mean first: a column for every choice; ``rank`` among all genotypes;
        ``seeds``; ``delta_m`` and ``std`` (over seeds) in percent; the mean metric of every task; ``loss``;
        ``seconds``; ``parameters``; ``multiply_adds``.

    Raises:
        InputError: The table was not made with this budget.
    """
    budgets = table.card.budgets
    steps = budgets[-1] if steps is None else steps
    if steps not in budgets:
        raise InputError(
            f"table {table.name} has no results after {steps} steps; it has: {', '.join(map(str, budgets))}"
        )
    results, choices = table_results(table), list(Setup.of(table.card.config).space)
    grouped = results[results["steps"] == steps].groupby(choices)
    frame = pd.DataFrame(
        {
            "rank": grouped["delta_m"].mean().rank(ascending=False, method="min"),
            "seeds": grouped.size(),
            "delta_m": grouped["delta_m"].mean(),
            "std": grouped["delta_m"].std(),
            **{task: grouped[f"metric.{task}"].mean() for task in table.card.config.tasks},
            **{column: grouped[column].mean() for column in ("loss", "seconds")},
            **{column: grouped[column].first().astype(int) for column in ("parameters", "multiply_adds")},
        }
    )
    frame = frame.sort_values("delta_m", ascending=False, kind="stable").reset_index()
    kept = frame[(frame[list(options)] == pd.Series(dict(options), dtype=str)).all(axis=1)]
    return kept.astype({"rank": int}).reset_index(drop=True)


def space_size(space: SearchSpace) -> int:
    """Returns the number of genotypes of a space."""
    return sum(1 for _ in space.enumerate()) if space.constrained else space.size
