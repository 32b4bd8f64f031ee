"""Compares the config of a run with another config."""

from __future__ import annotations

import os
from typing import Any

from atrc.config import Config, config_value, import_plugins
from atrc.experiments.paths import absolute_paths
from atrc.runs import RunDirectory

__all__ = ["changed_keys"]


def changed_keys(run: RunDirectory, config: Config) -> list[str]:
    """Returns the config keys in which a run differs from a config, without ``seeds``.

    Settings of an earlier version that its configs could not express do not count as a difference, nor do two ways to
    write the same path.
    """
    import_plugins(config)  # registered parts declare which of their options are paths
    one, other = (absolute_paths(of).model_dump() for of in (run.config, config))
    for key in (said.partition("=")[0] for said in run.upgraded):
        *path, last = key.split(".")
        section = other
        for part in path:
            section = section[part]
        section[last] = config_value(run.config, key)
    return [key for key in one if key != "seeds" and _resolved(one[key]) != _resolved(other[key])]


def _resolved(value: Any) -> Any:
    """Returns a part of a config with every absolute path resolved."""
    if isinstance(value, dict):
        return {key: _resolved(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_resolved(one) for one in value]
    return os.path.realpath(value) if isinstance(value, str) and os.path.isabs(value) else value
