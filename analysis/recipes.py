"""Recipes of runs: settings and data that their numbers depend on, and differences between them.

Runs stand in one mean, or are subtracted from one another, as if only chance told them apart. Here is found what else
does: keys of their configs, and the data that they learnt from and were measured on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from atrc.experiments.paths import absolute_paths
from atrc.runs import Result, RunDirectory

__all__ = ["SHOWN", "Recipe", "differing", "differing_keys", "listed", "of_any_model", "recipe", "seen_data"]

_TRAINED = ("dataset", "tasks", "backbone", "model", "train", "augmentation", "precision")
"""Sections of a config that a trained network depends on."""
_SEARCHED = ("space", "strategy", "search", "held_out", "trials", "cost")
"""Sections that a search depends on besides."""
_DATA = "data."
"""Begins the keys of what was seen."""
_NOT_SET = "not set"
_ALIKE = {"dataset.root", "dataset.cached", "model.fused", "model.checkpoint"}
"""Keys that say where data lie or how the same function is computed."""

SHOWN = 6
"""Keys, models or seeds that one note names."""

Recipe = Mapping[str, str]
"""Key of the config, or ``data.SPLIT.PART`` -> its value as JSON."""


def recipe(run: RunDirectory, result: Result | None = None) -> dict[str, str]:
    """Everything that the numbers of a finished run depend on, but for its seed.

    Args:
        run: The run.
        result: Its result, if it was read already.

    Returns:
        Dotted key -> value as JSON, of a search with the keys of its search; and for every split and part of the data
        that was seen (``data.val.semseg``) a hash of it, see `atrc.data.content_hashes`. Runs of earlier versions do
        not say what they saw.
    """
    sections = _TRAINED + (_SEARCHED if run.spec.kind == "search" else ())
    # an earlier version kept paths as they were given, which is no difference
    config = absolute_paths(run.config).model_dump(mode="json", include=set(sections))
    found = {key: json.dumps(value) for key, value in _flat(config) if key not in _ALIKE}
    return found | seen_data(run, result)


def seen_data(run: RunDirectory, result: Result | None = None) -> dict[str, str]:
    """The part of `recipe` that says what data a finished run saw."""
    return {
        f"{_DATA}{split}.{part}": json.dumps(hashed)
        for split, parts in (result or run.result()).data.items()
        for part, hashed in parts.items()
    }


def of_any_model(recipe: Recipe) -> dict[str, str]:
    """The part that searches and trainings must share to be compared: the problem, and not how it is learnt."""
    own = (*_SEARCHED, "train")
    return {key: value for key, value in recipe.items() if key.partition(".")[0] not in own}


def differing_keys(recipes: Iterable[Recipe]) -> list[str]:
    """The keys that have more than one value, in the order of the recipes; of data, where both are known."""
    several = list(recipes)
    known = dict.fromkeys(key for one in several for key in one)
    keys = [key for key in known if len({_value(one, key) for one in several} - {None}) > 1]
    # where an option is of one of several named parts, the name says enough
    named = {key.removesuffix("name") for key in keys if key.endswith(".name")}
    return [key for key in keys if key.endswith(".name") or not key.startswith(tuple(named))]


def differing(recipes: Sequence[tuple[str, Recipe]]) -> list[str]:
    """A phrase for every key that has more than one value: ``train.lr is 0.01 (multi) and 0.1 (single-depth)``.

    Args:
        recipes: Name and recipe of each thing that is compared; several may have one name.
    """
    phrases = []
    for key in differing_keys(of for _, of in recipes):
        by_value: dict[str, list[str]] = {}
        for name, of in recipes:
            if (value := _value(of, key)) is not None:
                by_value.setdefault(value, []).append(name)
        parts = [f"{_short(key, value)} ({', '.join(dict.fromkeys(names))})" for value, names in by_value.items()]
        phrases.append(f"{key} is {', '.join(parts[:-1])} and {parts[-1]}")
    return phrases


def listed(phrases: Sequence[str]) -> str:
    """The first phrases in one line, and the number of the others."""
    more = f"; and {len(phrases) - SHOWN} more" if len(phrases) > SHOWN else ""
    return "; ".join(phrases[:SHOWN]) + more


def _value(of: Recipe, key: str) -> str | None:
    """Value of a key in a recipe; None where it does not say what data was seen."""
    return of.get(key, None if key.startswith(_DATA) else _NOT_SET)


def _short(key: str, value: str) -> str:
    if key.startswith(_DATA):
        return value.strip('"')[:6]  # the first characters of a hash tell two apart
    text = str(json.loads(value)) if value.startswith('"') else value
    return text if len(text) <= 40 else f"{text[:37]}..."


def _flat(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key -> value, for every key that is set."""
    for key, value in section.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", value
