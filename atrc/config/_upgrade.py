"""Configs of runs that were made by earlier versions, brought up to date without changing what the run computes."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

__all__ = ["upgrade_run_config"]


def upgrade_run_config(data: Mapping[str, Any], environment: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Fills in what a run did before its config could say so.

    A config without the key ``augmentation.crop_by`` is from before there was one. Such a run drew its crops by the
    class map of its own tasks alone, and took crops without a person for background. One without the key ``threads``
    is older still: it computed on the threads that its environment file names, clipped the gradients of the weights
    alone, scored repeated genotypes again, and froze the choices of `gumbel_entropy` by entropy at 0.3 nats.

    Args:
        data: The content of the run's ``config.yaml``.
        environment: That of its ``environment.json``.

    Returns:
        The config, and what was filled in, as ``key=value``; nothing for a config of this version.
    """
    upgraded = copy.deepcopy(dict(data))
    if "search" not in upgraded:
        return upgraded, []
    said = [] if "threads" in upgraded else _before_threads(upgraded, environment)
    _filled(upgraded, "model", {"mask_padding": True})  # by default it is still so
    return upgraded, said + _filled(upgraded, "augmentation", {"crop_by": "tasks", "crop_labels": False})


def _filled(data: dict[str, Any], section: str, values: Mapping[str, Any]) -> list[str]:
    """Sets the keys that a section lacks; what was set."""
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
        strategy["freeze_threshold"] = 0.3  # one default for both criteria
        said.append("strategy.freeze_threshold=0.3")
    return said
