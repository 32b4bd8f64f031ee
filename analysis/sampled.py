"""Fig. 4: gains of the model sampled from the supergraph, beside those of the same architecture retrained."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.load import Runs
from analysis.multitask import gains, spread, with_delta_m

__all__ = ["STAGES", "ranked_by_stage", "sampled_against_retrained"]

STAGES = ("search", "retrain")
"""Models compared: as sampled from the supergraph at its argmax genotype, and trained again from scratch."""


def sampled_against_retrained(runs: Runs, stages: Sequence[str] = STAGES, *, paired: bool = False) -> pd.DataFrame:
    """Relative improvement over the single-task models, task by task (Fig. 4).

    Args:
        runs: The runs.
        stages: Models, in the order of the bars.
        paired: Whether the baseline is the single-task run of the same seed; see `analysis.multitask`.

    Returns:
        ``experiment``, ``model``, ``task``, ``mean``, ``std``, ``n``: of (M_m - M_ST) / M_ST in percent, signed so
        that up is better. ``std`` is the sample standard deviation over runs (missing for one run). Tasks without
        a baseline are left out.
    """
    table = gains(runs, paired=paired).dropna(subset=["gain"])
    rows = []
    for experiment in runs.experiments:
        for stage in stages:
            for task in runs.tasks:
                chosen = (table["experiment"] == experiment) & (table["model"] == stage) & (table["task"] == task)
                mean, std, n = spread(table[chosen]["gain"])
                rows.append((experiment, stage, task, mean, std, n))
    frame = pd.DataFrame(rows, columns=["experiment", "model", "task", "mean", "std", "n"])
    return frame[frame["n"] > 0].reset_index(drop=True)


def ranked_by_stage(runs: Runs, experiment: str, *, paired: bool = False) -> pd.DataFrame:
    """Delta_m of every found genotype as sampled and as retrained, to see if the supergraph ranks genotypes rightly.

    Args:
        runs: The runs.
        experiment: Name of one of their experiments.
        paired: See `sampled_against_retrained`.

    Returns:
        ``seed``, ``search``, ``retrain``: Delta_m in percent of the genotypes of which both are known.
    """
    frame = with_delta_m(runs, paired=paired)
    rows = frame[(frame["experiment"] == experiment) & frame["model"].isin(STAGES)]
    table = rows.pivot(index="seed", columns="model", values="delta_m").reindex(columns=list(STAGES))
    return table.dropna().reset_index().rename_axis(columns=None)
