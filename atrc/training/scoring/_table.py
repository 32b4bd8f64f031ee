"""Scoring a genotype by looking it up in a table of trainings that were made before."""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from atrc.cpbench import TABLE, table_for
from atrc.training.scoring._base import SCORERS, Score, Scorer, Scoring
from searchspace import Genotype, InputError, UnknownNameError
from searchspace.answers import default_column
from strategies import Trial
from strategies._base import spawn_seed

__all__ = ["Draw", "TableScorer"]

Draw = Literal["mean", "seed"]
"""How a score is taken from the seeds of a genotype."""
_DRAWN = 6
"""Spawns the seed of the draw of a genotype's training; smaller keys belong to the search and to its images."""
_ROUNDING = 1e-6


@dataclass(frozen=True)
class _Entry:
    """A row of a table.

    Attributes:
        seed: Seed of the training.
        score: The score, higher is better.
        samples: Number of images that the training took.
        seconds: Seconds that it took; None if the table does not say.
    """

    seed: float
    score: float
    samples: int
    seconds: float | None


@SCORERS.register(TABLE)
class TableScorer(Scorer):
    """The result that a table has for a genotype; see `searchspace.table` for the columns.

    A trial gets the rows of the smallest budget of the table that is not smaller than its own, and is charged for
    all of it: their ``samples``, by default the budget's share of ``trials.steps`` times ``search.batch_size``
    images; and their ``seconds``, if the table has them. A score of ``nan`` is a failed trial.

    Args:
        scoring: See `Scorer`.
        file: Path of a ``.csv`` or ``.csv.gz`` file, or the name of a table that ships with the package; by default
            the file of the space, or else the shipped table with the networks of the config.
        score: The column of scores; by default ``score`` if the table has it, else ``delta_m``.
        lower_is_better: Whether a smaller number in this column is better. The score is then minus the number.
        draw: ``mean``: the mean over the seeds of a genotype. ``seed``: the score of one of them, as if the genotype
            were trained once; it is drawn from the seed of the search and the genotype, and is the same at all
            budgets that have it.

    Raises:
        InputError: There is no table, it cannot be read, or it lacks a column.
    """

    paths = ("file",)
    needs_data = False

    def __init__(
        self,
        scoring: Scoring,
        file: str | Path | None = None,
        *,
        score: str | None = None,
        lower_is_better: bool = False,
        draw: Draw = "mean",
    ) -> None:
        super().__init__(scoring)
        if draw not in get_args(Draw):
            raise UnknownNameError("draw", str(draw), get_args(Draw), "trials.scorer")
        if not isinstance(lower_is_better, bool):
            raise InputError(f"trials.scorer.lower_is_better must be true or false, got {lower_is_better!r}")
        self.table = table_for(scoring.config, scoring.setup.space, file)
        self.column, self.lower_is_better = score or default_column(self.table), lower_is_better
        if score is None and self.column not in self.table.results:
            raise InputError(f"table {self.table.file} has no column 'score' or 'delta_m'; name one: score: COLUMN")
        self.table.require(self.column)
        self.draw: Draw = draw
        if draw == "seed":
            self.table.require("seed")
        self._entries: dict[Genotype, dict[float, list[_Entry]]] = {}
        self._counts: dict[Genotype, Mapping[str, int]] = {}
        self._drawn: dict[tuple[Genotype, float], float] = {}
        self._read()

    def _read(self) -> None:
        space = self.scoring.setup.space
        full = self.scoring.config.trials.steps * self.scoring.config.search.batch_size
        sign = -1.0 if self.lower_is_better else 1.0
        timed = "seconds" in self.table.results
        for row in self.table.rows():
            try:
                genotype = space.genotype(row.choices)
            except InputError as error:
                raise InputError(f"{row.where}: {error}") from None
            budget = row.number("budget", 1.0)
            samples = max(1, int(row.number("samples", budget * full)))
            seconds = row.number("seconds", 0.0) if timed else None
            entry = _Entry(row.number("seed", 0.0), sign * row.number(self.column), samples, seconds)
            self._entries.setdefault(genotype, {}).setdefault(budget, []).append(entry)
            if genotype not in self._counts:
                known = [name for name in ("parameters", "multiply_adds") if row.results.get(name)]
                self._counts[genotype] = {name: int(row.number(name)) for name in known}

    def of_seed(self, seed: int) -> TableScorer:
        """Returns a scorer of the same table for a search with another seed. The table is not read again."""
        other = copy.copy(self)
        other.scoring, other._drawn = replace(self.scoring, seed=seed), {}
        return other

    def _found(self, trial: Trial) -> Sequence[_Entry]:
        """Returns the rows that a trial gets."""
        of = self._entries.get(trial.genotype, {})
        budgets = [budget for budget in of if budget >= trial.budget - _ROUNDING]
        if not budgets:
            raise InputError(
                f"table {self.table.file} has no row for {trial.genotype!r} with budget {trial.budget:g}"
            )
        rows = of[min(budgets)]
        if self.draw == "mean":
            return rows
        seed = self._seed_of(trial.genotype, min(budgets))
        return [row for row in rows if row.seed == seed][:1]

    def _seed_of(self, genotype: Genotype, budget: float) -> float:
        """Draws a seed of a genotype: one that it has at its largest budget, if it has this one here, too."""
        key = genotype, budget
        if key not in self._drawn:
            of = self._entries[genotype]
            drawn = spawn_seed(self.scoring.seed, _DRAWN, *self.scoring.setup.space.encode(genotype))
            full, here = ({row.seed for row in of[which]} for which in (max(of), budget))
            seed = random.Random(drawn).choice(sorted(full))
            self._drawn[key] = seed if seed in here else random.Random(drawn).choice(sorted(here))
        return self._drawn[key]

    def samples(self, trial: Trial) -> int:
        return self._found(trial)[0].samples

    def score(self, trial: Trial) -> Score:
        rows = self._found(trial)
        seconds = [row.seconds for row in rows if row.seconds is not None]
        return Score(
            sum(row.score for row in rows) / len(rows),
            rows[0].samples,
            seconds=sum(seconds) / len(seconds) if seconds else None,
        )

    def counts(self, genotype: Genotype) -> Mapping[str, int]:
        return self._counts.get(genotype, {})
