"""Scores of trials that are looked up in a table."""

from __future__ import annotations

import copy
import math
import random
from dataclasses import dataclass
from typing import Literal, get_args

from searchspace import Genotype, InputError, SearchSpace, UnknownNameError
from searchspace.answers import default_column
from searchspace.table import Row, SpaceTable
from strategies import Score, Trial

__all__ = ["DRAWS", "Draw", "TableScores"]

Draw = Literal["mean", "seed"]
DRAWS = get_args(Draw)
"""What a trial gets of several seeds in a table: their mean, or one of them."""


@dataclass(frozen=True)
class _Entry:
    score: float
    samples: int
    seconds: float | None


class TableScores:
    """A ``score`` of `strategies.Search` that looks genotypes up.

    A trial gets the row of the smallest budget in the table that is at least its own, and is charged for it in full:
    its ``samples`` and ``seconds``.

    Args:
        table: The table. Its columns ``budget`` (1 where it is missing), ``samples`` and ``seconds`` are used.
        space: The space, whose choices are columns of the table.
        column: The result that is the score; by default ``score`` if the table has it, else ``delta_m``.
        lower_is_better: Whether a smaller result is better; scores are then negative results.
        draw: ``"mean"``: several rows of a genotype and a budget are averaged. ``"seed"``: one of its seeds is drawn,
            the same at every budget, as if it was trained once.
        seed: Seed of these draws.
        full: Number of images of a trial with the full budget, where the table has no ``samples``.

    Raises:
        InputError: The table lacks a column, or a row is of another space or holds no number.
    """

    def __init__(
        self,
        table: SpaceTable,
        space: SearchSpace,
        column: str | None = None,
        *,
        lower_is_better: bool = False,
        draw: str = "mean",
        seed: int = 0,
        full: int = 1,
    ) -> None:
        if draw not in DRAWS:
            raise UnknownNameError("draw", draw, DRAWS, f"table {table.file}")
        self._file, self._seed, self._one = table.file, seed, draw == "seed"
        column = column or default_column(table)
        table.require(column)
        sign = -1.0 if lower_is_better else 1.0
        self._entries: dict[Genotype, dict[float, list[_Entry]]] = {}
        for row in table.rows():
            genotype = _genotype(row, space)
            budget = round(row.number("budget", 1.0), 6)
            entry = _Entry(
                sign * row.number(column),
                max(1, int(row.number("samples", budget * full))),
                row.number("seconds") if row.results.get("seconds") else None,
            )
            self._entries.setdefault(genotype, {}).setdefault(budget, []).append(entry)

    @property
    def largest(self) -> int:
        """Number of images of the largest trial."""
        return max(entry.samples for of in self._entries.values() for entries in of.values() for entry in entries)

    def reseeded(self, seed: int) -> TableScores:
        """Returns scores with other draws, which share what was read."""
        other = copy.copy(self)
        other._seed = seed
        return other

    def __call__(self, trial: Trial) -> Score:
        """The same as `score`."""
        return self.score(trial)

    def samples(self, trial: Trial) -> int:
        """Returns the number of images that a trial will be charged for."""
        return self._drawn(trial)[0].samples

    def score(self, trial: Trial) -> Score:
        """Looks a trial up.

        Raises:
            InputError: The table has no row for it.
        """
        drawn = self._drawn(trial)
        seconds = [entry.seconds for entry in drawn if entry.seconds is not None]
        value = math.fsum(entry.score for entry in drawn) / len(drawn)
        return Score(value, drawn[0].samples, seconds=math.fsum(seconds) / len(seconds) if seconds else None)

    def _drawn(self, trial: Trial) -> list[_Entry]:
        budgets = self._entries.get(trial.genotype, {})
        enough = [budget for budget in budgets if budget >= round(trial.budget, 6)]
        if not enough:
            raise InputError(
                f"table {self._file} has no row for {trial.genotype!r} with budget {trial.budget:g} or more"
            )
        entries = budgets[min(enough)]
        if not self._one or len(entries) == 1:
            return entries
        key = f"{self._seed} {sorted(trial.genotype.items())}"
        return [entries[random.Random(key).randrange(len(entries))]]


def _genotype(row: Row, space: SearchSpace) -> Genotype:
    try:
        return space.genotype({choice: row.choices[choice] for choice in space})
    except InputError as error:
        raise InputError(f"{row.where}: {error}") from None
