"""What a table says about every genotype: mean result, regret and rank."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property

from searchspace.errors import InputError
from searchspace.genotype import Genotype
from searchspace.space import SearchSpace
from searchspace.table import SpaceTable

__all__ = ["Answers", "default_column"]


class Answers:
    """The mean result of every genotype in a table, over its seeds, at the largest budget.

    Args:
        table: The table.
        space: The space, whose choices are columns of the table.
        column: The result that counts; by default ``score`` if the table has it, else ``delta_m``.
        lower_is_better: Whether a smaller result is better.

    Attributes:
        column: The result that counts.
        sign: 1, or -1 if a smaller result is better.
        means: Genotype -> mean result. It is NaN if the training of some seed failed.

    Raises:
        InputError: The table lacks a column, a cell holds no number, or no genotype has a result.
    """

    def __init__(
        self, table: SpaceTable, space: SearchSpace, column: str | None = None, *, lower_is_better: bool = False
    ) -> None:
        self.column = column or default_column(table)
        table.require(self.column)
        self.sign = -1 if lower_is_better else 1
        found: dict[Genotype, dict[float, list[float]]] = {}
        for row in table.rows():
            genotype = space.genotype({choice: row.choices[choice] for choice in space})
            found.setdefault(genotype, {}).setdefault(row.number("budget", 1.0), []).append(row.number(self.column))
        self.budget = max(budget for of in found.values() for budget in of)
        self.means: Mapping[Genotype, float] = {
            genotype: sum(of[self.budget]) / len(of[self.budget])
            for genotype, of in found.items()
            if self.budget in of
        }
        if all(math.isnan(mean) for mean in self.means.values()):
            raise InputError(f"table {table.file} has no result of any genotype in column {self.column!r}")

    @cached_property
    def best(self) -> Genotype:
        """The genotype of the best mean."""
        return max(self.means, key=self._value)

    def regret(self, genotype: Genotype) -> float:
        """Returns how much worse the mean of a genotype is than the best one, in the unit of the column; at least 0.

        NaN if its training failed.

        Raises:
            InputError: The table does not have the genotype.
        """
        return self.sign * (self.means[self.best] - self._mean(genotype))

    def rank(self, genotype: Genotype) -> int:
        """Returns the place of a genotype among all, from 1; genotypes of equal means share the best of their places.

        Raises:
            InputError: The table does not have the genotype.
        """
        value = self._value(self._known(genotype))
        return 1 + sum(self._value(other) > value for other in self.means)

    def _known(self, genotype: Genotype) -> Genotype:
        if genotype not in self.means:
            raise InputError(f"the table has no result of {genotype!r}")
        return genotype

    def _mean(self, genotype: Genotype) -> float:
        return self.means[self._known(genotype)]

    def _value(self, genotype: Genotype) -> float:
        mean = self.sign * self.means[genotype]
        return -math.inf if math.isnan(mean) else mean


def default_column(table: SpaceTable) -> str:
    """Returns the column that counts where nobody says: ``score``, or ``delta_m``."""
    return "score" if "score" in table.results else "delta_m"
