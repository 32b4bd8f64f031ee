"""Reads configs: presets, their variants, YAML files, and overrides from the command line."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from atrc.config._overrides import apply_overrides, yaml_value
from atrc.config._schema import Config
from searchspace.errors import InputError, UnknownNameError, did_you_mean
from searchspace.text import read_text

__all__ = ["config_value", "load_config", "parse_config", "preset_names", "ships", "variant_names", "variant_summary"]


VARIANT = "+"
"""``rooms4+short+fpm``: a preset, changed by two variants."""


def preset_names() -> list[str]:
    """Returns the names of the configs that ship with the package."""
    return _shipped("presets")


def variant_names() -> list[str]:
    """Returns the names of the variants that ship with the package; each can be applied to any preset."""
    return _shipped("presets", "variants")


def variant_summary(name: str) -> str:
    """Returns a description of a variant: the comment of its file, without the command."""
    lines = _read_shipped("presets", "variants", name).splitlines()
    comment = [line.removeprefix("#").strip() for line in lines if line.startswith("#")]
    return " ".join(comment[comment.index("") + 1 :])


def ships(name: str) -> bool:
    """Returns whether a config's name is that of a preset, with or without variants."""
    base, *variants = name.split(VARIANT)
    return base in preset_names() and set(variants) <= set(variant_names())


def _shipped(*folder: str) -> list[str]:
    files = resources.files("atrc").joinpath(*folder).iterdir()
    return sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))


def load_config(source: str, overrides: Sequence[str] = ()) -> Config:
    """Loads a config from a preset or a file, with overrides.

    Args:
        source: Name of a preset, or path of a YAML file. Variants may follow, as in ``rooms4+short``; they are
            appended to the config's name, too.
        overrides: ``key=value`` with dots for nesting, the value in YAML: ``train.steps=100``, ``seeds=[0,1]``.

    Raises:
        InputError: A preset, variant or key is unknown, a file is missing or broken, or a value is out of range.
    """
    base, *variants = [source] if Path(source).is_file() else source.split(VARIANT)
    if base.endswith((".yaml", ".yml")) or "/" in base:
        data = _mapping(_read(Path(base)), base)
    elif base in preset_names():
        data = _mapping(_read_shipped("presets", base), f"preset {base}")
    else:
        raise UnknownNameError("preset", base, preset_names(), "a preset's name or the path of a .yaml file")
    if variants:  # fill in defaults first, since a variant may change them
        data = _validated(data, base, ()).model_dump(mode="json")
    for variant in variants:
        if variant not in variant_names():
            raise UnknownNameError("variant", variant, variant_names(), f"config {source!r}")
        changes = _read_shipped("presets", "variants", variant).replace("{name}", data["name"])
        _change(data, _mapping(changes, f"variant {variant}"))
        data["name"] += VARIANT + variant
    return _validated(data, source, overrides)


def parse_config(
    text: str,
    where: str,
    overrides: Sequence[str] = (),
    upgrade: Callable[[dict[str, Any]], dict[str, Any]] = lambda data: data,
) -> Config:
    """Reads a config from its text, see `load_config`.

    Args:
        text: YAML text.
        where: Name of the text in messages.
        overrides: See `load_config`.
        upgrade: Function that changes the content before it is checked.
    """
    return _validated(upgrade(_mapping(text, where)), where, overrides)


def _mapping(text: str, where: str) -> dict[str, Any]:
    data = yaml_value(text, where)
    if not isinstance(data, dict):
        raise InputError(f"{where} must hold a mapping of keys, got {type(data).__name__}")
    return data


def _change(data: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Applies changes key by key; changing ``name`` drops the options of the old name."""
    for key, value in changes.items():
        old = data.get(key)
        if isinstance(old, dict) and isinstance(value, Mapping) and value.get("name") in (None, old.get("name")):
            _change(old, value)
        else:
            data[key] = value


def _validated(data: dict[str, Any], where: str, overrides: Sequence[str]) -> Config:
    apply_overrides(data, overrides)
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        raise InputError(f"{where}: {describe_validation(error, Config)}") from None


def config_value(config: Config, key: str) -> Any:
    """Returns the value of a key, with dots for nesting as in overrides.

    Raises:
        InputError: The config has no such key.
    """
    value: Any = config.model_dump()
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            known = [str(name) for name in value] if isinstance(value, dict) else []
            there = f"; known there: {', '.join(known)}" if known else ""
            raise InputError(f"config {config.name!r} has no key {key!r}{did_you_mean(part, known)}{there}")
        value = value[part]
    return value


def describe_validation(error: ValidationError, model: type[BaseModel]) -> str:
    """Turns pydantic's first complaint into one line: where, what, what is allowed, the nearest key."""
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _keys_at(model, first["loc"][:-1])
        return f"unknown key {path!r}{did_you_mean(str(first['loc'][-1]), known)}; known: {', '.join(known)}"
    if first["type"] == "missing":
        return f"the key {path!r} is missing"
    message = re.sub("^Value error, ", "", first["msg"])
    return f"{path}: {message[0].lower()}{message[1:]}, got {first['input']!r}"


def _keys_at(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    for part in path:
        field = model.model_fields.get(str(part))
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return []
        model = field.annotation
    return list(model.model_fields)


def _read_shipped(*parts: str) -> str:
    *folder, name = parts
    return resources.files("atrc").joinpath(*folder, f"{name}.yaml").read_text(encoding="utf-8")


def _read(path: Path) -> str:
    try:
        return read_text(path)
    except FileNotFoundError:
        raise InputError(
            f"config file {path} does not exist{did_you_mean(path.stem, preset_names())}; "
            f"presets: {', '.join(preset_names())}"
        ) from None
    except (OSError, UnicodeError) as error:
        raise InputError(f"config file {path} cannot be read: {error}") from None
