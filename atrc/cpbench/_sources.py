"""The table that belongs to a config: that of its scorer, of its space, or of its problem."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from atrc.config import Config
from atrc.cpbench._tables import open_table, require_table, table_of
from searchspace import SearchSpace
from searchspace.answers import Answers
from searchspace.table import SpaceTable

__all__ = ["TABLE", "answers_of", "require_answers", "table_for"]

TABLE = "table"
"""Registered name of the scorer that reads tables."""


def table_for(config: Config, space: SearchSpace, file: str | Path | None = None) -> SpaceTable:
    """Returns the table in which a search of a config looks genotypes up.

    Args:
        config: The config.
        space: Its space.
        file: Path of the table, or the name of one that ships with the package. By default that of a space
            ``benchmark``, else the shipped one that was made with the config's problem and training.

    Raises:
        InputError: There is none, or it cannot be read.
    """
    if file is None:
        file = space.parameters.get("file")
    if file is not None:
        return open_table(file, list(space))
    return require_table(config).read()


def answers_of(config: Config, space: SearchSpace) -> Answers | None:
    """Returns the answers of `require_answers`, or None if the config has no table."""
    given = _scorer_options(config).get("file", space.parameters.get("file"))
    return None if given is None and table_of(config) is None else require_answers(config, space)


def require_answers(config: Config, space: SearchSpace) -> Answers:
    """Returns what the table of a config says about every genotype.

    The table, the column and its direction are those of the config's scorer, if this is ``table``.

    Args:
        config: The config.
        space: Its space.

    Raises:
        InputError: There is no table, or it cannot be read.
    """
    options = _scorer_options(config)
    lower = bool(options.get("lower_is_better", False))
    return Answers(table_for(config, space, options.get("file")), space, options.get("score"), lower_is_better=lower)


def _scorer_options(config: Config) -> dict[str, Any]:
    """Returns the options of the scorer `table`, if the config has it."""
    scorer = config.trials.scorer
    return scorer.options if scorer.name == TABLE else {}
