"""Scoring a genotype by looking it up in a table of trainings that were made before."""

from __future__ import annotations

from pathlib import Path

from atrc.cpbench import TABLE, TableScores, table_for
from atrc.training.scoring._base import SCORERS, Score, Scorer, Scoring
from strategies import Trial

__all__ = ["TableScorer"]


@SCORERS.register(TABLE)
class TableScorer(Scorer):
    """The result of a genotype's rows, see `atrc.cpbench.TableScores`. It needs neither data nor a network.

    The table is a CSV file with a column per choice of the space, holding options, a column with the score, and
    optionally ``budget``, ``seed``, ``samples`` and ``seconds``. A score of ``nan`` is a failed trial.

    Args:
        scoring: See `Scorer`.
        file: See `atrc.cpbench.table_for`.
        score: Column with the score; by default ``score`` if the table has it, else ``delta_m``.
        lower_is_better: Whether a smaller value in this column is better.
        draw: ``mean`` of a genotype's rows at a budget, or one ``seed`` of them, drawn by the search's seed.
    """

    paths = ("file",)
    needs_data = False

    def __init__(
        self,
        scoring: Scoring,
        file: str | Path | None = None,
        score: str | None = None,
        lower_is_better: bool = False,
        draw: str = "mean",
    ) -> None:
        super().__init__(scoring)
        config, space = scoring.config, scoring.setup.space
        self._scores = TableScores(
            table_for(config, space, file),
            space,
            score,
            lower_is_better=lower_is_better,
            draw=draw,
            seed=scoring.seed,
            full=config.trials.steps * config.search.batch_size,
        )

    def samples(self, trial: Trial) -> int:
        return self._scores.samples(trial)

    def score(self, trial: Trial) -> Score:
        return self._scores.score(trial)
