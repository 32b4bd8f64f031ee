"""What genotypes of a comparison are worth: as networks trained from scratch, by a table of the space, or unknown."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np

from atrc.config import Config
from atrc.cpbench import answers_of, require_answers, table_of
from atrc.experiments.comparison import network_model
from atrc.metrics.delta_m import delta_m
from atrc.runs import RunDirectory
from atrc.runs.names import run_path
from atrc.setup import Setup
from atrc.tasks import TASKS
from searchspace import Genotype

__all__ = ["Worth", "worth_of"]


class Worth(ABC):
    """Delta_m of the genotypes that the searches of a comparison named.

    Args:
        config: The config of the comparison.
        folder: Folder of its runs.

    Attributes:
        answers: The table of the same problem; None if there is none.
    """

    def __init__(self, config: Config, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.answers = answers_of(config, Setup.of(config).space)

    @abstractmethod
    def delta_m(self, genotype: Genotype, seed: int) -> float:
        """Returns Delta_m in percent, for the search of a seed; NaN if it is not known."""

    @property
    @abstractmethod
    def multi(self) -> float:
        """Mean Delta_m of the multi-task baseline; NaN if it is not known."""


class _Trained(Worth):
    """The networks that the comparison trained, against the mean of its single-task runs."""

    def delta_m(self, genotype: Genotype, seed: int) -> float:
        return self._of(run_path(self.folder / "networks", network_model(genotype), seed))

    @cached_property
    def multi(self) -> float:
        return float(np.mean([self._of(run_path(self.folder, "multi", seed)) for seed in self.config.seeds]))

    def _of(self, path: Path) -> float:
        return delta_m(RunDirectory.open(path).result().metrics, self._base, _directions(self.config))

    @cached_property
    def _base(self) -> dict[str, float]:
        base = {}
        for task in self.config.tasks:
            runs = [RunDirectory.open(run_path(self.folder, f"single-{task}", seed)) for seed in self.config.seeds]
            base[task] = float(np.mean([run.result().metrics[task] for run in runs]))
        return base


class _FromTable(Worth):
    """The mean over the seeds of a table. It is the same for all searches that named a genotype."""

    def __init__(self, config: Config, folder: Path) -> None:
        super().__init__(config, folder)
        self.answers = self.answers or require_answers(config, Setup.of(config).space)

    def delta_m(self, genotype: Genotype, seed: int) -> float:
        assert self.answers is not None
        return self.answers.means[genotype]

    @cached_property
    def multi(self) -> float:
        table = table_of(self.config)
        if table is None:
            return math.nan
        card = table.card
        steps = card.budgets[-1]
        base = {
            task: float(np.mean([of[steps][task] for of in card.baselines[f"single-{task}"].values()]))
            for task in card.config.tasks
        }
        of_seeds = [delta_m(of[steps], base, _directions(card.config)) for of in card.baselines["multi"].values()]
        return float(np.mean(of_seeds))


class _Unknown(Worth):
    """Nothing: only what was planted is compared."""

    def delta_m(self, genotype: Genotype, seed: int) -> float:
        return math.nan

    @property
    def multi(self) -> float:
        return math.nan


_WORTHS: Mapping[str, type[Worth]] = {"train": _Trained, "table": _FromTable, "none": _Unknown}


def worth_of(config: Config, folder: Path) -> Worth:
    """Returns what the comparison's ``compare.networks`` asks for."""
    assert config.compare is not None
    return _WORTHS[config.compare.networks](config, folder)


def _directions(config: Config) -> dict[str, bool]:
    return {name: TASKS[name].higher_is_better for name in config.tasks}
