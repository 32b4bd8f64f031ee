"""Overrides of a config's keys: ``train.steps=100``, ``strategy.name=darts``."""

from __future__ import annotations

from collections.abc import Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

from atrc.config._schema import Config, Named
from searchspace.errors import InputError
from searchspace.yaml_text import YAMLError, read_yaml

__all__ = ["apply_overrides", "yaml_value"]


def apply_overrides(data: dict[str, Any], overrides: Sequence[str]) -> None:
    """Applies overrides to the content of a config, one after the other.

    Changing a registered name drops the options of the old name, except those that other overrides set.

    Raises:
        InputError: An override is not of the form ``key=value``, or its value is not YAML.
    """
    asked: dict[tuple[str, ...], set[str]] = {}
    for override in overrides:
        path, value = _parsed(override)
        if _is_named(path) and isinstance(value, str):  # strategy=darts says the same as strategy.name=darts
            path = (*path, "name")
        *above, last = path
        section = _section(data, above)
        place = tuple(above)
        if _is_named(place):
            if last == "name" and value != section.get("name", _default_name(place)):
                kept = asked.get(place, set())
                for option in [key for key in section if key not in kept]:
                    del section[option]
            elif "name" not in section and _default_name(place) is not None:
                section["name"] = _default_name(place)
            asked.setdefault(place, set()).add(last)
        elif _is_named(path):
            asked.pop(path, None)
        section[last] = value


def yaml_value(text: str, where: str) -> Any:
    """Parses a YAML text.

    Raises:
        InputError: The text is not YAML.
    """
    try:
        return read_yaml(text)
    except YAMLError as error:
        raise InputError(f"{where} is not YAML: {' '.join(str(error).split())}") from None


def _parsed(override: str) -> tuple[tuple[str, ...], Any]:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise InputError(f"override {override!r} is not of the form key=value, e.g. train.steps=100")
    return tuple(key.split(".")), yaml_value(value, f"override {override!r}")


def _section(data: dict[str, Any], path: Sequence[str]) -> dict[str, Any]:
    """Returns the mapping at a path, and creates it if it is missing. Short forms on the way are expanded."""
    for length, part in enumerate(path, start=1):
        found = data.get(part)
        if not isinstance(found, dict):
            names = found if isinstance(found, list) else []  # the short form of ``tasks`` and ``compare.strategies``
            data[part] = {name: {} for name in names}
            if isinstance(found, str) and _is_named(path[:length]):
                data[part] = {"name": found}
        data = data[part]
    return data


def _is_named(path: Sequence[str]) -> bool:
    """Returns whether the key at a path takes a registered name and its options."""
    return _kind_at(path) is Named


def _kind_at(path: Sequence[str]) -> Any:
    """Returns the type of the key at a path; None if there is no such key."""
    kind: Any = Config
    for part in path:
        if get_origin(kind) is dict:
            kind = get_args(kind)[1]
        elif isinstance(kind, type) and issubclass(kind, BaseModel) and part in kind.model_fields:
            kind = kind.model_fields[part].annotation
        else:
            return None
        if get_origin(kind) in (Union, UnionType):
            kind = next(one for one in get_args(kind) if one is not type(None))
    return kind


def _default_name(path: Sequence[str]) -> str | None:
    """Returns the default name of the `Named` at a path."""
    *above, last = path
    section = _kind_at(above)
    if get_origin(section) is dict:
        return last  # in a comparison, the label is the default name
    default = section.model_fields[last].get_default()
    return default.name if isinstance(default, Named) else None
