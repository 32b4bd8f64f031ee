"""Scoring a genotype by looking it up in a table of trainings that were made before."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from atrc.training.scoring._base import SCORERS, Score, Scorer, Scoring
from searchspace import Genotype, InputError
from searchspace.text import read_text
from strategies import Trial

__all__ = ["TableScorer"]


@SCORERS.register("table")
class TableScorer(Scorer):
    """The mean score of a genotype's rows.

    The table is a CSV file with a column per choice of the space, holding options, and the columns ``score`` (higher
    is better) and, optionally, ``samples``. Several rows of a genotype are its seeds. Where there are ``budget``
    columns, a row is that of the trial's budget. A score of ``nan`` is a failed trial.

    Args:
        scoring: See `Scorer`.
        file: Path of the table.
    """

    paths = ("file",)

    def __init__(self, scoring: Scoring, file: str | Path) -> None:
        super().__init__(scoring)
        self._file = file
        self._scores: dict[tuple[Genotype, float], list[tuple[float, int]]] = {}
        space = scoring.setup.space
        full = scoring.config.trials.steps * scoring.config.search.batch_size
        try:
            rows = list(csv.DictReader(io.StringIO(read_text(file))))
        except (OSError, UnicodeError) as error:
            raise InputError(f"table {file} cannot be read: {error}") from None
        missing = [column for column in (*space, "score") if not rows or column not in rows[0]]
        if missing:
            raise InputError(f"table {file} has no column {missing[0]!r}, or no rows")
        for number, row in enumerate(rows, start=2):
            try:
                genotype = space.genotype({choice: row[choice] for choice in space})
                budget = float(row.get("budget") or 1.0)
                outcome = float(row["score"]), max(1, int(float(row.get("samples") or budget * full)))
            except (InputError, ValueError) as error:
                raise InputError(f"table {file}, line {number}: {error}") from None
            self._scores.setdefault((genotype, round(budget, 6)), []).append(outcome)

    def _rows(self, trial: Trial) -> list[tuple[float, int]]:
        try:
            return self._scores[trial.genotype, round(trial.budget, 6)]
        except KeyError:
            raise InputError(
                f"table {self._file} has no row for {trial.genotype!r} with budget {trial.budget:g}"
            ) from None

    def samples(self, trial: Trial) -> int:
        return self._rows(trial)[0][1]

    def score(self, trial: Trial) -> Score:
        rows = self._rows(trial)
        return Score(sum(score for score, _ in rows) / len(rows), rows[0][1])
