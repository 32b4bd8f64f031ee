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
import gzip
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atrc.config import Config
from atrc.machine.files import write_text, writing
from atrc.metrics.delta_m import delta_m
from atrc.setup import Setup
from atrc.tasks import TASKS
from searchspace import Genotype
from searchspace.yaml_text import write_yaml

__all__ = ["BUDGETS", "FORMAT", "Entry", "budget_steps", "recipe_of", "results_of", "write_table"]

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
class Entry:
    """A trained network of a table.

    Attributes:
        model: ``single-TASK`` or ``multi``; empty for a genotype's network.
        genotype: The genotype, or None for a baseline.
        seed: Seed of the training.
        points: What was measured at every budget: the fields of `atrc.training._budgets.Measured`.
    """

    model: str
    genotype: Genotype | None
    seed: int
    points: Sequence[Mapping[str, Any]]


def budget_steps(config: Config) -> list[int]:
    """Returns the numbers of steps after which a network is measured: a quarter, a half, and all of a training."""
    return sorted({max(1, round(budget * config.train.steps)) for budget in BUDGETS})


def recipe_of(config: Config) -> dict[str, Any]:
    """Returns the part of a config that decides what a stand-alone network reaches."""
    return config.model_dump(mode="json", include=_RECIPE)


def results_of(point: Mapping[str, Any]) -> dict[str, float]:
    """Returns the columns of what was measured at one budget: an entry of `Entry.points`.

    Losses are rounded to eight digits, since they are sums of 32-bit numbers.
    """
    losses = {name: float(f"{point[name]:.8g}") for name in _LOSSES}
    metrics = {f"metric.{task}": value for task, value in point["metrics"].items()}
    return {**{name: point[name] for name in _MEASURED}, **losses, **metrics}


def write_table(
    folder: Path, config: Config, entries: Sequence[Entry], *, expected: int, made: Mapping[str, Any]
) -> Path | None:
    """Writes the table and its card.

    Args:
        folder: Folder of the two files, which are named after the config.
        config: The config of all networks.
        entries: The networks that were trained.
        expected: Number of networks of the whole table.
        made: Where and when it was made, see `atrc.runs.environment`.

    Returns:
        Path of the table, or None if a baseline is missing. Without it there is no Delta_m, and nothing is written.
    """
    baselines = [entry for entry in entries if entry.genotype is None]
    full = config.train.steps
    base = {}
    for task in config.tasks:
        alone = [entry for entry in baselines if entry.model == f"single-{task}" and entry.seed in config.seeds]
        if len(alone) < len(config.seeds):
            return None
        base[task] = sum(entry.points[-1]["metrics"][task] for entry in alone) / len(alone)
    better = {task: TASKS[task].higher_is_better for task in config.tasks}
    space = Setup.of(config).space
    places = {genotype: place for place, genotype in enumerate(space.enumerate())}
    rows = [
        {
            **(entry.genotype or {}),
            "seed": entry.seed,
            "budget": point["steps"] / full,
            **results_of(point),
            "delta_m": float(f"{delta_m(point['metrics'], base, better):.10g}"),
        }
        for entry in sorted(
            (entry for entry in entries if entry.genotype is not None),
            key=lambda entry: (places[entry.genotype], entry.seed),
        )
        for point in entry.points
    ]
    path = folder / f"{config.name}.csv.gz"
    _write_csv(path, rows)
    card = {
        "format": FORMAT,
        "name": config.name,
        "licence": "Apache-2.0",
        "seeds": list(config.seeds),
        "budgets": budget_steps(config),
        "networks": {"all": expected, "missing": expected - len(entries)},
        "config": recipe_of(config),
        "baselines": {
            model: {
                entry.seed: {point["steps"]: point["metrics"] for point in entry.points}
                for entry in baselines
                if entry.model == model
            }
            for model in sorted({entry.model for entry in baselines})
        },
        "made": dict(made),
    }
    write_text(folder / f"{config.name}.yaml", write_yaml(card))
    return path


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes a compressed table. The same rows give the same bytes."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with writing(path) as file, gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
        packed.write(text.getvalue().encode())
