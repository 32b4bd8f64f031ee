"""Errors of each context where another was planted: the matrix of `atrc.experiments.recovery`."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from analysis.multitask import spread
from analysis.recovery import answer_of
from atrc.runs import RunDirectory
from searchspace import block

__all__ = ["DEAD", "ahead", "planted_errors", "planted_matrix"]

DEAD = 0.5
"""A training is dead if the error that it leaves is above this share of what was planted."""


def planted_errors(runs: Iterable[RunDirectory]) -> pd.DataFrame:
    """The errors of networks that use one context where another was planted.

    Args:
        runs: Finished networks of problems where every target needs one source at most.

    Returns:
        One row for each target that needs something: ``planted``, ``pair`` (``own``: on the diagonal; ``other``: off
        it), ``used`` (the contexts), ``seed``, ``error`` (the target's RMSE).
    """
    rows = []
    for run in runs:
        answer, genotype = answer_of(run.config), run.genotype()
        assert answer is not None
        assert genotype is not None
        for (target, source), need in answer.items():
            pair = "own" if target == source else "other"
            used, error = genotype[block(target, source)], run.result().metrics[target]
            rows.append((need.context, pair, used, run.spec.seed, error))
    errors = pd.DataFrame(rows, columns=["planted", "pair", "used", "seed", "error"])
    # on the diagonal s_label is t_label, and was trained twice
    return errors.drop_duplicates(["planted", "pair", "used", "seed"], ignore_index=True)


def planted_matrix(errors: pd.DataFrame) -> pd.DataFrame:
    """Mean and spread over seeds.

    Args:
        errors: Table of `planted_errors`.

    Returns:
        One row for each planted pair and context used: ``planted``, ``pair``, ``used``, ``n`` (networks), ``mean``
        and ``std`` of the error over them, ``best`` (seeds in which it was the smallest of its row), ``dead``
        (networks with an error above `DEAD`).
    """
    least = errors.groupby(["planted", "pair", "seed"])["error"].transform("min")
    errors = errors.assign(best=errors["error"] == least)
    found = []
    for (planted, pair, used), of in errors.groupby(["planted", "pair", "used"], sort=False):
        mean, std, n = spread(of["error"])
        row = {"planted": planted, "pair": pair, "used": used, "n": n, "mean": mean, "std": std}
        found.append({**row, "best": int(of["best"].sum()), "dead": int((of["error"] > DEAD).sum())})
    return pd.DataFrame(found)


def ahead(matrix: pd.DataFrame) -> pd.DataFrame:
    """Lead of the planted context over the second best, row by row of the matrix.

    Returns:
        ``planted``, ``pair``, ``n``, ``best`` (seeds in which the planted context won), ``second`` (the next best
        context), ``ahead`` (difference of their means in units of the larger standard deviation of a seed), ``dead``
        (of the networks that use the planted context).
    """
    rows = []
    for (planted, pair), of in matrix.groupby(["planted", "pair"], sort=False):
        own = of[of["used"] == planted].iloc[0]
        second = of[of["used"] != planted].sort_values("mean").iloc[0]
        apart = (second["mean"] - own["mean"]) / max(own["std"], second["std"])
        row = {"planted": planted, "pair": pair, "n": own["n"], "best": own["best"], "second": second["used"]}
        rows.append({**row, "ahead": apart, "dead": own["dead"]})
    return pd.DataFrame(rows)
