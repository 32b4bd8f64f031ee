"""Configs of runs that were made by earlier versions, brought up to date without changing what the run computes."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

__all__ = ["upgrade_run_config"]


def upgrade_run_config(data: Mapping[str, Any], environment: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Fills in what a run did before its config could say so.

    A config without the key ``threads`` is from before there was one. Such a run computed on the threads that its
    environment file names, clipped the gradients of the weights alone, scored repeated genotypes again, and froze the
    choices of `gumbel_entropy` by entropy at 0.3 nats.

    Args:
        data: The content of the run's ``config.yaml``.
        environment: That of its ``environment.json``.

    Returns:
        The config, and what was filled in, as ``key=value``; nothing for a config of this version.
    """
    upgraded = copy.deepcopy(dict(data))
    if "threads" in upgraded or "search" not in upgraded:
        return upgraded, []
    threads = environment.get("threads")
    upgraded["threads"] = threads if isinstance(threads, int) and threads > 0 else 1
    said = [f"threads={upgraded['threads']}"]
    for section, key, value in (("search", "clip", "weights"), ("trials", "repeat", True)):
        part = upgraded.setdefault(section, {})
        if isinstance(part, dict) and key not in part:
            part[key] = value
            said.append(f"{section}.{key}={str(value).lower()}")
    strategy = upgraded.get("strategy")
    if (
        isinstance(strategy, dict)
        and (strategy.get("name"), strategy.get("freeze")) == ("gumbel_entropy", "entropy")
        and "freeze_threshold" not in strategy
    ):
        strategy["freeze_threshold"] = 0.3  # one default for both criteria
        said.append("strategy.freeze_threshold=0.3")
    return upgraded, said
