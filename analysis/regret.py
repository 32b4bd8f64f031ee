"""Regret and rank of what searches found, where a table knows every genotype of the space."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.bootstrap import bootstrap_mean
from analysis.load import Runs, once
from analysis.tables import number
from atrc.cpbench import answers_of
from atrc.setup import Setup
from searchspace import Genotype
from searchspace.answers import Answers

__all__ = ["chance_regret", "in_table", "regret_of_searches", "regret_sentences"]


def in_table(answers: Answers, genotype: Genotype) -> dict[str, float]:
    """Returns ``regret`` (how much the genotype's mean is behind the best one) and ``place`` (rank, 1 is best)."""
    return {"regret": answers.regret(genotype), "place": answers.rank(genotype)}


def chance_regret(answers: Answers) -> float:
    """Returns the mean regret of all genotypes: what a random one can expect. Failed trainings do not count."""
    return float(np.nanmean([answers.regret(genotype) for genotype in answers.means]))


@once
def regret_of_searches(runs: Runs, experiment: str) -> pd.DataFrame:
    """Regret of every finished search of an experiment.

    Returns:
        ``strategy`` (the model's name, and the registered one where all models have one name), ``kind``, ``seed``,
        ``regret`` in the unit of the table's result (points of Delta_m in the tables that ship), ``place``, ``of``
        (number of genotypes), ``chance`` (mean regret of all genotypes), and a column for every choice. Empty where
        no table fits.
    """
    from strategies import STRATEGIES  # its adapters take time to import

    found = runs.searches(experiment)
    rows = []
    known: dict[str, tuple[Answers, float] | None] = {}
    for row in found.to_dict("records"):
        run = runs.directories[str(row["path"])]
        key = run.config.model_copy(update={"seeds": [0]}).to_yaml()
        if key not in known:
            answers = answers_of(run.config, Setup.of(run.config).space)
            known[key] = None if answers is None else (answers, chance_regret(answers))
        table, genotype = known[key], runs.genotypes[str(row["path"])]
        if table is None or genotype not in table[0].means:
            continue
        strategy = run.config.strategy.name
        rows.append(
            {
                "strategy": strategy if row["model"] == "search" else str(row["model"]).removeprefix("search-"),
                "kind": STRATEGIES[strategy].kind,
                "seed": row["seed"],
                **in_table(table[0], genotype),
                "of": len(table[0].means),
                "chance": table[1],
                **genotype,
            }
        )
    return pd.DataFrame(rows)


def regret_sentences(found: pd.DataFrame) -> list[str]:
    """Mean regret and rank of every strategy, in words."""
    said = []
    for strategy, of in found.groupby("strategy", sort=False):
        low, high = bootstrap_mean(of["regret"].to_numpy(float))
        interval = f", 95 % interval {number(low, 1)} to {number(high, 1)}" if len(of) > 1 else ""
        said.append(
            f"{strategy}: {len(of)} searches found genotypes that are {of['regret'].mean():.1f} behind the best one"
            f"{interval}; mean rank {of['place'].mean():.1f} of {of['of'].iloc[0]}; a random genotype is "
            f"{of['chance'].iloc[0]:.1f} behind"
        )
    return said
