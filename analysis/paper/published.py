"""Tables 1 to 5 as the paper published them, and where each can be made again; a YAML file per table."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources

import yaml
from pydantic import BaseModel, ConfigDict, Field

from searchspace import UnknownNameError

__all__ = ["PublishedRow", "PublishedTable", "published_table", "table_numbers"]

PREFIX, SUFFIX = "table", ".yaml"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PublishedRow(_Strict):
    """A model of a table.

    Attributes:
        label: Name of the model in the paper.
        model: The folder of its runs, e.g. ``multi`` or ``retrain``; ``single`` stands for a run per task.
        variant: The variant of the place's preset that its runs are made with; None for the preset itself.
        branches: The variant whose search finds the tree that its backbone is branched as; None for no tree.
        marks: The mark columns that it is ticked in.
        parameters: Parameters, in millions.
        multiply_adds: Multiply-adds for one image, in billions.
        mean: A metric per task, in the order of the table's tasks and in their units; the mean of five runs.
        std: Standard deviations of these runs; empty where the table has none.
        delta_m: Delta_m, in percent.
    """

    label: str
    model: str
    variant: str | None = None
    branches: str | None = None
    marks: tuple[str, ...] = ()
    parameters: float | None = None
    multiply_adds: float | None = None
    mean: tuple[float, ...]
    std: tuple[float, ...] = ()
    delta_m: float


class PublishedTable(_Strict):
    """A table of the paper.

    Attributes:
        number: Number of the table, 1 to 5.
        title: Title of the table.
        tasks: Names of the tasks, in the order of the columns.
        marks: Names of the columns that are ticked or not.
        places: Data and backbones on which the rows can be filled: a name -> the preset of its runs. The first is the
            paper's own.
        rows: Rows, in the paper's order.
    """

    number: int
    title: str
    tasks: tuple[str, ...]
    marks: tuple[str, ...] = ()
    places: dict[str, str] = Field(min_length=1)
    rows: tuple[PublishedRow, ...]

    @property
    def resources(self) -> bool:
        """Whether the table has columns of parameters and multiply-adds."""
        return all(row.parameters is not None for row in self.rows)

    @property
    def own_place(self) -> str:
        """The paper's own data and backbone."""
        return next(iter(self.places))

    def preset(self, place: str) -> str:
        """The preset of a place.

        Raises:
            UnknownNameError: The table has no such place.
        """
        if place not in self.places:
            raise UnknownNameError("place", place, self.places, f"of table {self.number}")
        return self.places[place]

    def mean(self, row: PublishedRow) -> Mapping[str, float]:
        """Task -> published mean."""
        return dict(zip(self.tasks, row.mean, strict=True))

    def std(self, row: PublishedRow) -> Mapping[str, float]:
        """Task -> published standard deviation; empty where the table has none."""
        return dict(zip(self.tasks, row.std, strict=True)) if row.std else {}


def table_numbers() -> list[str]:
    """Numbers of the tables that there are, as words of a command line."""
    files = (file.name for file in resources.files("analysis").joinpath("paper").iterdir())
    return sorted(name.removeprefix(PREFIX).removesuffix(SUFFIX) for name in files if name.endswith(SUFFIX))


@cache
def published_table(number: int | str) -> PublishedTable:
    """A table as it was published.

    Raises:
        UnknownNameError: There is no table of this number.
    """
    if str(number) not in table_numbers():
        raise UnknownNameError("table", str(number), table_numbers())
    file = resources.files("analysis").joinpath("paper", f"{PREFIX}{number}{SUFFIX}")
    return PublishedTable.model_validate({"number": number, **yaml.safe_load(file.read_text(encoding="utf-8"))})
