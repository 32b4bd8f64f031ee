"""Functions and classes of former versions, in today's terms; `atrc._moved` finds them under their former names.

They stay for the versions up to 1.0. Nothing in this project uses them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch

from atrc.config import Augmentation, Config
from atrc.data import Batch, Compose, Dataset, DatasetInfo, decode
from atrc.data.labelled import LabelMaps
from atrc.experiments import Checks
from atrc.inference import PredictionFiles, Predictor, open_run
from atrc.inference import evaluate_split as _evaluate_split
from atrc.machine.stopping import Stop
from atrc.networks import Parts, Predictions, Trunk
from atrc.runs import RunDirectory
from atrc.setup import Setup
from atrc.supernets import MultiTaskSupernet
from atrc.tasks import Task
from atrc.training.scoring import Scoring
from searchspace import Genotype, InputError, SearchSpace

__all__ = [
    "SearchNetwork",
    "Setting",
    "build_dataset",
    "build_network",
    "build_search_network",
    "build_space",
    "build_tasks",
    "check",
    "check_strategy",
    "cp_space",
    "describe_dataset",
    "evaluate_split",
    "fit_tasks",
    "load_learner",
    "model_genotype",
    "read_image",
    "training_transform",
]


def _setup(config: Config, tasks: Mapping[str, Task] | None = None) -> Setup:
    """Returns a setup whose plugins are imported already, with given tasks."""
    setup = Setup(config)
    if tasks is not None:
        setup.tasks = dict(tasks)
    return setup


def build_dataset(config: Config, split: str, tasks: Iterable[str] | None = None) -> Dataset:
    """Now `Setup.split`."""
    return _setup(config).split(split, tasks)


def describe_dataset(config: Config) -> DatasetInfo:
    """Now `Setup.info`."""
    return _setup(config).info


def build_tasks(config: Config, info: DatasetInfo) -> dict[str, Task]:
    """Now `Setup.tasks`."""
    return _setup(config).tasks


def fit_tasks(tasks: Mapping[str, Task], train: Dataset) -> None:
    """Now `Setup.fit`."""
    for name, task in tasks.items():
        task.fit(LabelMaps(train, name), train.info.cache)


def build_space(config: Config) -> SearchSpace:
    """Now `Setup.space`."""
    space: SearchSpace = _setup(config).space
    return space


def cp_space(config: Config) -> Any:
    """Now `Setup.space`."""
    return _setup(config).space


def model_genotype(config: Config, model: str) -> Genotype | None:
    """Now `Setup.genotype`."""
    return _setup(config).genotype(model)


def build_network(
    config: Config, tasks: Mapping[str, Task], model: str, genotype: Genotype | None, *, pretrained: bool = True
) -> Any:
    """Now `Setup.network`."""
    return _setup(config, tasks).network(model, genotype, pretrained=pretrained)


def build_search_network(config: Config, tasks: Mapping[str, Task], *, pretrained: bool = True) -> MultiTaskSupernet:
    """Now `Setup.supernet`."""
    return _setup(config, tasks).supernet(pretrained=pretrained)


def check(config: Config) -> None:
    """Now `Checks.config`."""
    Checks().config(config)


def check_strategy(config: Config) -> None:
    """Now `Checks.strategy`."""
    Checks().strategy(config)


def read_image(path: Path) -> np.ndarray:
    """Now `atrc.data.decode.read_image` with ``upright=True``."""
    return decode.read_image(path, upright=True)


def training_transform(augmentation: Augmentation, info: DatasetInfo) -> Compose:
    """Now `Setup.augmentation`."""
    setup = Setup.__new__(Setup)
    setup.config, setup.info = cast(Any, SimpleNamespace(augmentation=augmentation)), info
    return setup.augmentation()


class _Learner:
    """A trained run, with the methods that it had."""

    def __init__(self, run: RunDirectory, device: torch.device) -> None:
        opened = open_run(run, str(device))
        self.network, self.tasks, self.predictor = opened.network, opened.tasks, opened.predictor
        self.device, self.autocast = self.predictor.device, self.predictor.autocast

    def predict(self, batch: Batch) -> Predictions:
        return self.predictor(batch)

    def genotype(self) -> Genotype | None:
        return self.predictor.genotype


def load_learner(run: RunDirectory, device: torch.device) -> _Learner:
    """Now `atrc.open_run`."""
    return _Learner(run, device)


def evaluate_split(
    config: Config,
    learner: Any,
    split: Dataset,
    device: torch.device,
    *,
    save_predictions: Path | None = None,
    **how: Any,
) -> dict[str, float]:
    """Now `atrc.inference.evaluate_split`."""
    predictor: Predictor = learner.predictor
    save = None if save_predictions is None else PredictionFiles(save_predictions, predictor.tasks)
    return _evaluate_split(config, predictor, split, save=save, **how)


def Setting(
    config: Config,
    seed: int,
    device: torch.device,
    tasks: Mapping[str, Task],
    train: Dataset,
    held_out: Dataset,
    stop: Stop,
    tick: Callable[[], Any] = lambda: None,
) -> Scoring:
    """Now `atrc.training.scoring.Scoring`."""
    return Scoring(_setup(config, tasks), seed, device, train, held_out, stop, tick)


class SearchNetwork(MultiTaskSupernet):
    """Now `MultiTaskSupernet`: a supernet with the former constructor, ``stand_alone`` and ``costs``.

    A subclass is written for ``Class(make_backbone, tasks, space, decoder, model)``, and is built as
    ``Class(parts, space)`` as well.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        own: dict[str, Any] = dict(vars(cls))
        if "__init__" in own:

            def build(self: Any, *given: Any, **named: Any) -> None:
                if len(given) == 2 and isinstance(given[0], Parts):
                    parts, space = given
                    object.__setattr__(self, "_built_from", parts)
                    given = (parts.encoder, parts.tasks, space, parts.decoder, parts.model)
                own["__init__"](self, *given, **named)

            cls.__init__ = build  # type: ignore[method-assign]
        if "costs" in own:

            def costs(kind: Any, parts: Parts, space: SearchSpace, *how: Any) -> Any:
                return own["costs"](kind(parts, space), *how)

            cls.costs = classmethod(costs)  # type: ignore[method-assign, assignment]

    def __init__(self, backbone: Any, tasks: Mapping[str, Task], region_tasks: frozenset[str], decoder: Any) -> None:
        Trunk.__init__(self, backbone, tasks, region_tasks, decoder)

    @classmethod
    def network(cls, parts: Parts, genotype: Genotype) -> Any:
        alone: Any = getattr(cls, "stand_alone", None)
        if alone is None:
            raise InputError(f"{cls.__name__} must define `network`: it was written for a former version")
        return alone(parts.encoder, parts.tasks, genotype, parts.decoder, parts.model)
