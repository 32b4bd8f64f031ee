"""The space of a table: its choices are columns, its options their cells, and what has no row is no genotype."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from searchspace.errors import InputError
from searchspace.space import SPACES, SearchSpace
from searchspace.table import METRIC, SpaceTable

__all__ = ["BenchmarkSpace"]

_FRACTION = re.compile(r"[-+]?\d*\.\d+([eE][-+]?\d+)?|nan")


@SPACES.register("benchmark")
class BenchmarkSpace(SearchSpace):
    """The genotypes of a table, such as one of NAS-Bench-201, to be searched by looking them up.

    Combinations of options that no row has break a constraint, so some strategies are refused where there are any.

    Args:
        file: Path of the table, a ``.csv`` or ``.csv.gz`` file; see `searchspace.table.SpaceTable`.
        choices: Names of the columns that are choices; by default all that are no results.

    Attributes:
        table: The table.

    Raises:
        InputError: The file is no such table, or a column looks like results and was not named as a choice.
    """

    paths = ("file",)

    def __init__(self, file: str | Path, choices: Sequence[str] | None = None) -> None:
        self.table = SpaceTable(file, choices)
        if choices is None:
            for choice, options in self.table.options.items():
                if all(_FRACTION.fullmatch(option) for option in options):
                    raise InputError(
                        f"table {file}: column {choice!r} holds fractions, so it looks like results; name it "
                        f"{METRIC}{choice}, or list the columns that are choices (space.choices)"
                    )
        named = {"file": str(file), **({} if choices is None else {"choices": list(choices)})}
        super().__init__("benchmark", self.table.options, named)
        self._there = {tuple(row.choices.values()) for row in self.table.rows()}

    @property
    def constrained(self) -> bool:
        return len(self._there) < self.size

    def violation(self, choices: Mapping[str, str]) -> str | None:
        if tuple(choices[choice] for choice in self) in self._there:
            return None
        return f"table {self.table.file} has no row of this combination of options"
