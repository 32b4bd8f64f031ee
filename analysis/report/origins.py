"""How each number was made: commands, commits, versions, machines and configs, each told once."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analysis.load import Runs

__all__ = ["Origin", "Origins", "origins"]


@dataclass(frozen=True)
class Origin:
    """Origin of a group of runs that were made in one way.

    Attributes:
        command: The command line, as it was given.
        facts: Name -> text: commit, machine, versions.
        runs: Number of runs that were made in this way.
        first: Time at which the first was started.
        last: Time at which the last was started.
    """

    command: str
    facts: Mapping[str, str]
    runs: int
    first: str
    last: str


@dataclass(frozen=True)
class Origins:
    """Origins of all runs.

    Attributes:
        made: The distinct ways in which they were made.
        configs: The distinct configs, as YAML.
        of: Path of a run -> places of both in these lists.
    """

    made: list[Origin]
    configs: list[str]
    of: Mapping[str, tuple[int, int]]


def origins(runs: Runs) -> Origins:
    """Reads ``environment.json`` and the config of every run.

    Raises:
        InputError: A file cannot be read; the message names it.
    """
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[str]] = {}
    configs: dict[str, None] = {}
    keys = {}
    for path, run in runs.directories.items():
        environment = run.environment()
        command = shlex.join(environment.get("command", []))
        key = command, tuple(_facts(environment).items())
        config = run.config.to_yaml()
        groups.setdefault(key, []).append(environment.get("started", ""))
        configs.setdefault(config)
        keys[path] = key, config
    made = [
        Origin(command, dict(facts), len(started), min(started), max(started))
        for (command, facts), started in groups.items()
    ]
    place, listed = {key: number for number, key in enumerate(groups)}, list(configs)
    return Origins(made, listed, {path: (place[key], listed.index(config)) for path, (key, config) in keys.items()})


def _facts(environment: Mapping[str, Any]) -> dict[str, str]:
    versions = {"python": environment.get("python"), **environment.get("versions", {})}
    facts = {
        "commit": environment.get("revision"),
        "machine": environment.get("processor"),
        "GPU": environment.get("gpu"),
        "threads": environment.get("threads"),
        "system": environment.get("platform"),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items() if version),
    }
    return {name: str(value) for name, value in facts.items() if value}
