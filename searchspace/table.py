"""Reads tables of a space: CSV files with a row for every genotype, seed and budget that somebody tried.

A column holds either a choice or a result. The cells of a choice are options, those of a result are numbers. Results
have the names in `RESULTS`, or names that begin with ``metric.``; all other columns hold choices.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from searchspace.errors import InputError, UnknownNameError
from searchspace.text import decoded, read_text

__all__ = ["METRIC", "RESULTS", "Row", "SpaceTable"]

RESULTS = (
    *("seed", "budget", "steps", "samples", "seconds", "parameters", "multiply_adds"),
    *("score", "delta_m", "loss", "train_loss"),
)
"""Names of columns that are no choices."""
METRIC = "metric."
"""Begins the names of further columns that are no choices."""


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        choices: Choice -> option.
        results: Column -> its cell as it stands in the file.
        where: File and line, for messages.
    """

    choices: Mapping[str, str]
    results: Mapping[str, str]
    where: str

    def number(self, column: str, default: float | None = None) -> float:
        """Returns the number in a column. NaN is one, too.

        Args:
            column: Name of the column.
            default: What an empty or missing cell stands for; None if there must be a number.

        Raises:
            InputError: The cell holds no number.
        """
        text = self.results.get(column) or ""
        if not text and default is not None:
            return default
        try:
            return float(text)
        except ValueError:
            raise InputError(f"{self.where}: column {column!r} must hold numbers, got {text!r}") from None


class SpaceTable:
    """A table of a space.

    Args:
        file: Path of a ``.csv`` or ``.csv.gz`` file.
        choices: Names of the columns that are choices; by default all columns that are no results.

    Attributes:
        file: Path of the file.
        choices: Names of the columns that are choices, in the order given, else of the file.
        results: Names of the other columns.

    Raises:
        InputError: The file cannot be read, has no rows or no choices, lacks a named column, or a row is too short.
    """

    def __init__(self, file: str | Path, choices: Sequence[str] | None = None) -> None:
        self.file = Path(file)
        lines = csv.reader(io.StringIO(_text(self.file)))
        header = next(lines, [])
        if not header:
            raise InputError(f"table {file} has no columns: its first line must name them")
        if twice := [name for name in header if header.count(name) > 1]:
            raise InputError(f"table {file} has the column {twice[0]!r} twice")
        if choices is None:
            choices = [name for name in header if name not in RESULTS and not name.startswith(METRIC)]
            if not choices:
                raise InputError(f"table {file} has no column of a choice; its columns: {', '.join(header)}")
        for choice in choices:
            if choice not in header:
                raise UnknownNameError("column", choice, header, f"table {file}")
        self.choices = tuple(choices)
        self.results = tuple(name for name in header if name not in self.choices)
        self._places = {name: place for place, name in enumerate(header)}
        self._lines = [(lines.line_num, line) for line in lines if line]
        if not self._lines:
            raise InputError(f"table {file} has no rows")
        for number, line in self._lines:
            if len(line) != len(header):
                raise InputError(f"table {file}, line {number}: {len(line)} cells, but {len(header)} columns")

    @cached_property
    def options(self) -> dict[str, tuple[str, ...]]:
        """Choice -> its options, in the order in which they appear."""
        return {
            choice: tuple(dict.fromkeys(line[self._places[choice]] for _, line in self._lines))
            for choice in self.choices
        }

    def require(self, column: str) -> None:
        """Raises InputError if the table has no such column of results."""
        if column not in self.results:
            raise UnknownNameError("column", column, self.results, f"table {self.file}")

    def rows(self) -> Iterator[Row]:
        """Yields the rows, in the order of the file."""
        for number, line in self._lines:
            yield Row(
                {choice: line[self._places[choice]] for choice in self.choices},
                {name: line[self._places[name]] for name in self.results},
                f"table {self.file}, line {number}",
            )

    def __len__(self) -> int:
        return len(self._lines)


def _text(path: Path) -> str:
    try:
        if path.suffix != ".gz":
            return read_text(path)
        with gzip.open(path) as file:
            return decoded(file.read())
    except (OSError, EOFError, UnicodeError) as error:  # a cut-off gzip file raises EOFError
        said = "it does not exist" if isinstance(error, FileNotFoundError) else str(error)
        raise InputError(f"table {path} cannot be read: {said}") from None
