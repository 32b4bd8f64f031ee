"""Compares strategies: runs the same searches with each of them, and trains the genotypes that they name on the way.

::

    runs/NAME/search-LABEL/seed0       one search a strategy and seed, each of the same number of training samples
    runs/NAME/networks/HASH/seed0      a genotype trained from scratch; strategies that name the same one share it
    runs/NAME/single-TASK/seed0        what Delta_m compares with
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atrc.config import NO_DATASET, Compare, Config
from atrc.cpbench import require_answers
from atrc.experiments._checks import Checks
from atrc.experiments._create import create_missing
from atrc.experiments.plan import Planned
from atrc.runs import RunDirectory, RunSpec
from atrc.runs.names import expand_models
from atrc.setup import Setup
from searchspace import Genotype, InputError
from strategies import STRATEGIES, OneShotStrategy

__all__ = ["Incumbent", "baselines", "incumbents", "network_model", "networks", "searches", "strategy_config"]

SEARCH = "search-"
"""Prefix of the folders of searches; the label of the strategy follows."""


@dataclass(frozen=True)
class Incumbent:
    """The genotype that a search would name if it stopped early.

    Attributes:
        fraction: Spent fraction of the budget, in (0, 1].
        genotype: The genotype that the search would name then.
    """

    fraction: float
    genotype: Genotype


def strategy_config(config: Config, label: str) -> Config:
    """Returns the config of one strategy's searches: its knobs, and as many steps as the budget of samples allows.

    A second stage takes its share of the budget out of these steps.

    Raises:
        InputError: The budget is too small for one step.
    """
    compare = _section(config)
    named = compare.strategies[label]
    entry = STRATEGIES[named.name]
    looks = entry.looks() if issubclass(entry, OneShotStrategy) else 1
    steps = compare.samples // (config.search.batch_size * looks)
    if steps < compare.points:
        raise InputError(
            f"compare.samples={compare.samples} gives only {steps} steps of {label!r}, fewer than compare.points"
        )
    return config.model_copy(
        update={
            "strategy": named,
            "search": config.search.model_copy(update={"steps": steps}),
            "log_every": max(1, steps // (4 * compare.points)),
            "compare": None,
        }
    )


def _section(config: Config) -> Compare:
    if config.compare is None:
        raise InputError(f"config {config.name!r} has no section 'compare', which names strategies and their budget")
    return config.compare


def searches(config: Config, folder: Path, checks: Checks | None = None) -> list[RunDirectory]:
    """Opens the existing searches of a comparison and makes the missing ones.

    Raises:
        InputError: A strategy cannot be built, an existing search has another config, or networks are to be looked
            up and no table fits.
    """
    if config.dataset.name == NO_DATASET and _section(config).networks == "train":
        raise InputError(
            f"config {config.name!r} has no dataset, so the networks that searches name cannot be trained; set "
            "compare.networks=table, or compare strategies by atrc lookup"
        )
    checks = checks or Checks()
    checks.config(config)
    if _section(config).networks == "table":
        require_answers(config, Setup.of(config).space)
    planned = []
    for label in _section(config).strategies:
        settings = strategy_config(config, label)
        checks.strategy(settings)
        planned += [Planned(folder, RunSpec("search", f"{SEARCH}{label}", seed), settings) for seed in config.seeds]
    return create_missing(planned, checks)


def baselines(config: Config, folder: Path, checks: Checks | None = None) -> list[RunDirectory]:
    """Opens or makes the single-task runs that Delta_m compares with, and the multi-task runs.

    There are none unless ``compare.networks`` is ``train``. The same holds for `networks`.
    """
    if _section(config).networks != "train":
        return []
    alone = config.model_copy(update={"compare": None})
    models = expand_models(config, ["baselines"])
    return create_missing(
        [Planned(folder, RunSpec("train", model, seed), alone) for model in models for seed in config.seeds], checks
    )


def networks(
    config: Config, folder: Path, searched: list[RunDirectory], checks: Checks | None = None
) -> list[RunDirectory]:
    """Opens or makes the runs of every search's incumbents, one for each genotype and seed."""
    if _section(config).networks != "train":
        return []
    alone = config.model_copy(update={"compare": None})
    planned = {}
    for run in searched:
        for incumbent in incumbents(run, _section(config)):
            spec = RunSpec("train", network_model(incumbent.genotype), run.spec.seed)
            planned[spec] = Planned(folder / "networks", spec, alone, incumbent.genotype)
    return create_missing(list(planned.values()), checks)


def network_model(genotype: Genotype) -> str:
    """Returns the folder name of a genotype's networks, a hash."""
    text = json.dumps(dict(genotype), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def incumbents(run: RunDirectory, compare: Compare) -> list[Incumbent]:
    """Returns the genotypes that a search would name at ``compare.points`` equal parts of its budget.

    The last part is the end. Parts before the first scores are left out, since a strategy names no genotype there.
    """
    found = run.genotype()
    if found is None:
        raise InputError(f"run {run.path} is not a finished search")
    named = list(_named(run))
    space = Setup.of(run.config).space
    result = []
    for point in range(1, compare.points):
        fraction = point / compare.points
        until = [choices for samples, choices in named if samples <= fraction * compare.samples]
        if until:
            result.append(Incumbent(fraction, space.canonical(until[-1])))
    return [*result, Incumbent(1.0, found)]


def _named(run: RunDirectory) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yields (spent samples, genotype that the strategy named then), in order."""
    entry = STRATEGIES[run.config.strategy.name]
    if one_shot := issubclass(entry, OneShotStrategy):
        per_step = (
            run.config.search.batch_size * entry.data_use.batches
        )  # for older runs, whose lines have no count of samples
        for line in run.lines("architecture.jsonl"):
            if "genotype" in line:
                yield line.get("samples", line["step"] * per_step), line["genotype"]
    lines = list(run.lines("trials.jsonl"))
    if all("named" in line for line in lines):
        for line in lines:
            if line["named"] is not None:
                yield line["samples"], line["named"]
    elif not one_shot:
        yield from _best_so_far(lines)


def _best_so_far(lines: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yields (spent samples, best genotype so far), for logs without named genotypes. Right if no cost counts."""
    best: tuple[float, float] | None = None
    choices: Mapping[str, str] = {}
    for line in lines:
        if line["score"] is None or math.isnan(line["score"]):  # a failed trial cannot be the best
            continue
        value = (line["budget"], line["score"])
        if best is None or value > best:
            best, choices = value, line["genotype"]
        yield line["samples"], choices
