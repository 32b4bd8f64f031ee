"""Writes tables, and their cards.

A row of a table is a genotype's network with one seed at one budget:

===================  ==========================================================================================
column               content
===================  ==========================================================================================
a choice             its option; a column for every choice of the space
``seed``             seed of the training
``budget``           share of the training that was made, in (0, 1]
``steps``            number of optimiser steps
``samples``          number of images that the network has learnt from
``seconds``          processor seconds of the training on one thread, without evaluation
``parameters``       number of learned parameters
``multiply_adds``    multiply-adds for one image
``loss``             total loss on the validation split, eight digits
``train_loss``       mean total loss of the last ten steps, eight digits
``metric.TASK``      metric of a task on the validation split, in the task's unit
``delta_m``          Delta_m in percent, against the mean of the fully trained single-task networks of all seeds;
                     ten digits
===================  ==========================================================================================

A card has what the table was made with: the config, the baselines, the machine.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atrc.config import Config
from atrc.machine.files import write_gzip, write_text
from atrc.metrics.delta_m import delta_m
from atrc.setup import Setup
from atrc.tasks import TASKS
from searchspace import Genotype
from searchspace.yaml_text import write_yaml

__all__ = ["BUDGETS", "FORMAT", "Network", "Points", "budget_steps", "recipe_of", "results_of", "write_table"]

FORMAT = "atrc-cpbench/1"
BUDGETS = (0.25, 0.5, 1.0)
"""Shares of a training after which its network is measured."""
_RECIPE = {
    *("plugins", "dataset", "tasks", "backbone", "space", "model", "train", "augmentation"),
    *("precision", "threads", "evaluate_batch"),
}
_MEASURED = ("steps", "samples", "seconds", "parameters", "multiply_adds")
_LOSSES = ("loss", "train_loss")


@dataclass(frozen=True)
class Network:
    """A network of a table.

    Attributes:
        model: ``single-TASK`` or ``multi``; empty for a genotype's network.
        genotype: The genotype, or None for a baseline.
        seed: Seed of the training.
    """

    model: str
    genotype: Genotype | None
    seed: int


Points = Sequence[Mapping[str, Any]]
"""What was measured of a network at every budget: the fields of `atrc.training._budgets.Measured`."""


def budget_steps(config: Config) -> list[int]:
    """Returns the numbers of steps after which a network is measured: a quarter, a half, and all of a training."""
    return sorted({max(1, round(budget * config.train.steps)) for budget in BUDGETS})


def recipe_of(config: Config) -> dict[str, Any]:
    """Returns the part of a config that decides what a stand-alone network reaches."""
    return config.model_dump(mode="json", include=_RECIPE)


def results_of(point: Mapping[str, Any]) -> dict[str, float]:
    """Returns the columns of what was measured at one budget: an entry of `Points`.

    Losses are rounded to eight digits, since they are sums of 32-bit numbers.
    """
    losses = {name: float(f"{point[name]:.8g}") for name in _LOSSES}
    metrics = {f"metric.{task}": value for task, value in point["metrics"].items()}
    return {**{name: point[name] for name in _MEASURED}, **losses, **metrics}


def write_table(
    folder: Path, config: Config, measured: Mapping[Network, Points], *, expected: int, made: Mapping[str, Any]
) -> Path | None:
    """Writes the table and its card.

    Args:
        folder: Folder of the two files, which are named after the config.
        config: The config of all networks.
        measured: The networks that were trained -> what was measured.
        expected: Number of networks of the whole table.
        made: Where and when it was made, see `atrc.runs.environment`.

    Returns:
        Path of the table, or None if a baseline is missing. Without it there is no Delta_m, and nothing is written.
    """
    full = config.train.steps
    base = {}
    for task in config.tasks:
        alone = [measured.get(Network(f"single-{task}", None, seed)) for seed in config.seeds]
        metrics = [points[-1]["metrics"][task] for points in alone if points is not None]
        if len(metrics) < len(alone):
            return None
        base[task] = sum(metrics) / len(metrics)
    better = {task: TASKS[task].higher_is_better for task in config.tasks}
    rows = [
        {
            **genotype,
            "seed": seed,
            "budget": point["steps"] / full,
            **results_of(point),
            "delta_m": float(f"{delta_m(point['metrics'], base, better):.10g}"),
        }
        for genotype in Setup.of(config).space.enumerate()
        for seed in config.seeds
        for point in measured.get(Network("", genotype, seed), ())
    ]
    path = folder / f"{config.name}.csv.gz"
    write_gzip(path, _csv_text(rows))
    card = {
        "format": FORMAT,
        "name": config.name,
        "licence": "Apache-2.0",
        "seeds": list(config.seeds),
        "budgets": budget_steps(config),
        "networks": {"all": expected, "missing": expected - len(measured)},
        "config": recipe_of(config),
        "baselines": _baselines(measured),
        "made": dict(made),
    }
    write_text(folder / f"{config.name}.yaml", write_yaml(card))
    return path


def _baselines(measured: Mapping[Network, Points]) -> dict[str, dict[int, dict[int, Mapping[str, float]]]]:
    """Returns model -> seed -> steps -> metrics of the networks without a genotype."""
    found: dict[str, dict[int, dict[int, Mapping[str, float]]]] = {}
    for network, points in sorted(measured.items(), key=lambda item: item[0].model):
        if network.genotype is None:
            found.setdefault(network.model, {})[network.seed] = {point["steps"]: point["metrics"] for point in points}
    return found


def _csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
