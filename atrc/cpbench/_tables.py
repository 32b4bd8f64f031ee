"""Finds tables and reads their cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from atrc.config import Config, parse_config
from atrc.cpbench._files import FORMAT, recipe_of
from searchspace import InputError, UnknownNameError
from searchspace.table import SpaceTable
from searchspace.text import read_text
from searchspace.yaml_text import YAMLError, read_yaml, write_yaml

__all__ = ["Card", "Tabled", "find_table", "open_table", "require_table", "shipped_tables", "table_of"]

_SUFFIX = ".csv.gz"


@dataclass(frozen=True)
class Card:
    """What a table was made with.

    Attributes:
        name: Name of the table.
        config: The config of its networks.
        seeds: Seeds of the networks.
        budgets: Numbers of steps after which networks were measured, ascending.
        networks: Number of networks of the whole table, baselines among them.
        missing: Number of networks that are not there yet.
        baselines: Model (``single-TASK``, ``multi``) -> seed -> number of steps -> task -> metric.
        made: Where and when it was made, see `atrc.runs.environment`.
    """

    name: str
    config: Config
    seeds: Sequence[int]
    budgets: Sequence[int]
    networks: int
    missing: int
    baselines: Mapping[str, Mapping[int, Mapping[int, Mapping[str, float]]]]
    made: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> Card:
        """Reads a card.

        Raises:
            InputError: The file cannot be read, or is no card.
        """
        try:
            data = read_yaml(read_text(path))
        except (OSError, UnicodeError, YAMLError) as error:
            raise InputError(f"card {path} cannot be read: {error}") from None
        if not isinstance(data, Mapping) or data.get("format") != FORMAT:
            raise InputError(f"{path} is no card of a table: its format must be {FORMAT!r}")
        try:
            name, seeds = str(data["name"]), [int(seed) for seed in data["seeds"]]
            return cls(
                name=name,
                config=parse_config(write_yaml({"name": name, "seeds": seeds, **data["config"]}), str(path)),
                seeds=seeds,
                budgets=[int(steps) for steps in data["budgets"]],
                networks=int(data["networks"]["all"]),
                missing=int(data["networks"]["missing"]),
                baselines=data["baselines"],
                made=data["made"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"card {path} is not complete: {error!r}") from None


@dataclass(frozen=True)
class Tabled:
    """A table that has a card.

    Attributes:
        file: Path of the table.
    """

    file: Path

    @property
    def name(self) -> str:
        """Name of the table."""
        return self.file.name.removesuffix(_SUFFIX)

    @cached_property
    def card(self) -> Card:
        """Its card."""
        return Card.read(self.file.with_name(f"{self.name}.yaml"))

    def read(self) -> SpaceTable:
        """Reads the table; see `SpaceTable`."""
        return SpaceTable(self.file)


def shipped_tables() -> list[str]:
    """Returns the names of the tables that ship with the package."""
    return sorted(path.name.removesuffix(_SUFFIX) for path in _shipped().glob(f"*{_SUFFIX}"))


def _shipped() -> Path:
    return Path(str(resources.files("atrc").joinpath("cpbench")))


def find_table(name: str | Path) -> Tabled:
    """Returns a table by name, or by the path of its file.

    Args:
        name: Name of a table that ships with the package, or path of a ``.csv.gz`` file with a card beside it.

    Raises:
        InputError: There is no such table.
    """
    if str(name) in shipped_tables():
        return Tabled(_shipped() / f"{name}{_SUFFIX}")
    path = Path(name)
    if not path.name.endswith(_SUFFIX):
        raise UnknownNameError("table", str(name), shipped_tables(), f"a name, or the path of a {_SUFFIX} file")
    if not path.is_file():
        raise InputError(f"table {path} does not exist")
    return Tabled(path)


def open_table(file: str | Path, choices: Sequence[str]) -> SpaceTable:
    """Reads a table of a space, with or without a card.

    Args:
        file: Path of a table, or the name of one that ships with the package.
        choices: The choices of the space.

    Raises:
        InputError: See `SpaceTable`.
    """
    shipped = str(file) in shipped_tables()
    return SpaceTable(find_table(file).file if shipped else file, choices)


def table_of(config: Config) -> Tabled | None:
    """Returns the shipped table that has the stand-alone networks of a config: same problem, same training.

    The strategy and the search may be any, since they do not change what a genotype reaches.
    """
    wanted = recipe_of(config)
    return next((table for table, recipe in _recipes() if recipe == wanted), None)


@cache
def _recipes() -> list[tuple[Tabled, dict[str, Any]]]:
    """Returns the shipped tables with the recipes of their networks. Their cards are read once."""
    return [(table := find_table(name), recipe_of(table.card.config)) for name in shipped_tables()]


def require_table(config: Config) -> Tabled:
    """Returns the table of `table_of`.

    Raises:
        InputError: There is none.
    """
    table = table_of(config)
    if table is None:
        raise InputError(
            f"no table has the dataset, networks and training of config {config.name!r}; give the file of one "
            f"(trials.scorer.file), or use a preset that has one: {', '.join(shipped_tables())}"
        )
    return table
