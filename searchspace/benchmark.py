"""A space that is read from a table: its choices are columns, its options are their cells."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from searchspace.errors import InputError
from searchspace.genotype import Genotype
from searchspace.space import SPACES, SearchSpace
from searchspace.table import METRIC, RESULTS, SpaceTable

__all__ = ["BenchmarkSpace"]


@SPACES.register("benchmark")
class BenchmarkSpace(SearchSpace):
    """The space of a table with a row for every genotype that somebody tried; see `searchspace.table.SpaceTable`.

    Options have the order in which they appear in the table. If the table lacks a combination of options, it is no
    genotype of the space.

    Args:
        file: Path of a ``.csv`` or ``.csv.gz`` file.
        choices: Names of the columns that are choices; by default all columns that are no results.

    Attributes:
        file: Path of the table.

    Raises:
        InputError: The table cannot be read, a cell of a choice is empty, or a column that was not named as a choice
            holds numbers with a fraction, as results do.
    """

    paths = ("file",)

    def __init__(self, file: str | Path, choices: Sequence[str] | None = None) -> None:
        table = SpaceTable(file, choices)
        for choice, options in table.options.items():
            if "" in options:
                raise InputError(f"table {file}: the choice {choice!r} has an empty cell")
            if choices is None and _looks_like_results(options):
                raise InputError(
                    f"table {file}: column {choice!r} holds numbers such as {options[0]}, as results do; "
                    f"name it {METRIC}{choice} if it is one, or list the choices: choices: [...]. "
                    f"Columns of results are {', '.join(RESULTS)} and {METRIC}NAME"
                )
        parameters = {"file": str(file)} | ({} if choices is None else {"choices": list(choices)})
        super().__init__("benchmark", table.options, parameters)
        self.file = Path(file)
        self._tried = {tuple(row.choices.values()) for row in table.rows()}

    @property
    def constrained(self) -> bool:
        return len(self._tried) < self.size

    def violation(self, choices: Mapping[str, str]) -> str | None:
        if tuple(choices[choice] for choice in self) in self._tried:
            return None
        return f"the table {self.file} has no row of {', '.join(f'{choice}: {choices[choice]}' for choice in self)}"

    def enumerate(self) -> Iterator[Genotype]:
        # Of the combinations of options, a table may have a small part.
        if not self.constrained:
            yield from super().enumerate()
            return
        # An option that `only` has left out is in no genotype.
        here = [
            of for of in self._tried if all(one in options for one, options in zip(of, self.values(), strict=True))
        ]
        genotypes = [self.genotype(dict(zip(self, options, strict=True))) for options in here]
        yield from sorted(genotypes, key=self.encode)

    def sample(self, rng: random.Random) -> Genotype:
        return rng.choice(self._listed) if self.constrained else super().sample(rng)


def _looks_like_results(cells: Sequence[str]) -> bool:
    """Whether all cells are numbers, and one has a fraction."""
    try:
        return not all(float(cell).is_integer() for cell in cells)
    except ValueError:
        return False
