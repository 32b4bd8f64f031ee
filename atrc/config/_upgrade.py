"""Upgrades configs of runs from earlier versions, without changing what the run computes.

The rule: a key that the schema gains, and whose default is not what runs did before, is filled in here with what they
did. It is recognised by a key that came with the same version, never by a version number, so that a config that was
written by hand is upgraded as well. A test in ``tests/atrc/test_upgrade.py`` keeps a run of every such version.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

__all__ = ["upgrade_run_config"]


def upgrade_run_config(data: Mapping[str, Any], environment: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Sets the keys that an older config lacks to what its run did.

    A config without the key ``augmentation.crop_by`` was made before this key existed. Such a run drew its crops by
    the class map of its own tasks only, and treated crops without a person as background. A config without the key
    ``threads`` is even older. Its run used the number of threads in its environment file, clipped the gradients of
    the weights only, scored repeated genotypes again, and froze the choices of `gumbel_entropy` by entropy at 0.3
    nats.

    Args:
        data: Content of the run's ``config.yaml``.
        environment: Content of its ``environment.json``.

    Returns:
        The config, and the added keys as ``key=value``; none for a config of this version.
    """
    upgraded = copy.deepcopy(dict(data))
    if "search" not in upgraded:
        return upgraded, []
    said = [] if "threads" in upgraded else _before_threads(upgraded, environment)
    _filled(upgraded, "model", {"mask_padding": True})  # still the default
    return upgraded, said + _filled(upgraded, "augmentation", {"crop_by": "tasks", "crop_labels": False})


def _filled(data: dict[str, Any], section: str, values: Mapping[str, Any]) -> list[str]:
    """Sets the keys that a section lacks; returns them as ``key=value``."""
    part = data.setdefault(section, {})
    if not isinstance(part, dict):
        return []
    lacking = {key: value for key, value in values.items() if key not in part}
    part |= lacking
    return [f"{section}.{key}={str(value).lower()}" for key, value in lacking.items()]


def _before_threads(upgraded: dict[str, Any], environment: Mapping[str, Any]) -> list[str]:
    threads = environment.get("threads")
    upgraded["threads"] = threads if isinstance(threads, int) and threads > 0 else 1
    said = [f"threads={upgraded['threads']}"]
    said += _filled(upgraded, "search", {"clip": "weights"}) + _filled(upgraded, "trials", {"repeat": True})
    strategy = upgraded.get("strategy")
    if (
        isinstance(strategy, dict)
        and (strategy.get("name"), strategy.get("freeze")) == ("gumbel_entropy", "entropy")
        and "freeze_threshold" not in strategy
    ):
        strategy["freeze_threshold"] = 0.3  # both criteria had this default
        said.append("strategy.freeze_threshold=0.3")
    return said
