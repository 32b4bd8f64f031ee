"""What scorers have in common, and their registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch

from atrc.config import Config
from atrc.data import Batch, Dataset, NoImages, Subset, eval_transform, evaluation_batches
from atrc.machine.stopping import Interrupted, Stop
from atrc.networks import Predictions, multi_task_loss
from atrc.setup import Setup
from atrc.tasks import Task
from atrc.training.scoring._shared import KeptBatches
from searchspace import Genotype, Registry
from searchspace.paths import PathOptions
from strategies import STRATEGIES, MultiTrialStrategy, Score, Trial
from strategies._base import spawn_seed

__all__ = ["SCORERS", "Score", "Scorer", "Scoring", "build_scorer", "needs_data"]

_SCORED = 5
"""Spawns the seed of the draw of held-out images; smaller keys belong to the search."""


@dataclass(frozen=True)
class Scoring:
    """The search that a scorer works for: its config, its images, its device.

    Attributes:
        setup: The search's setup, with tasks fitted to the training data.
        seed: The seed of the search.
        device: Where to compute.
        train: The images that weights learn from.
        held_out: The images that scores are taken on, or drawn from.
        stop: Whether somebody asked to stop.
        tick: Called after every training step.
        whole: The training split that both are parts of; None if no image is looked at.
    """

    setup: Setup
    seed: int
    device: torch.device
    train: Dataset
    held_out: Dataset
    stop: Stop
    tick: Callable[[], Any] = lambda: None
    whole: Dataset | None = None

    @classmethod
    def for_search(
        cls, setup: Setup, *, seed: int, device: torch.device, stop: Stop, tick: Callable[[], Any] = lambda: None
    ) -> Scoring:
        """Opens the training split, see `of`; or, if the config's scorer needs no data, none."""
        if needs_data("search", setup.config):
            return cls.of(setup, setup.train(), seed=seed, device=device, stop=stop, tick=tick)
        return cls.without_images(setup, seed=seed, device=device, stop=stop, tick=tick)

    @classmethod
    def of(
        cls,
        setup: Setup,
        whole: Dataset,
        *,
        seed: int,
        device: torch.device,
        stop: Stop,
        tick: Callable[[], Any] = lambda: None,
    ) -> Scoring:
        """Fits the tasks to the training split ``whole``, and holds a part of it out."""
        setup.fit(whole)
        return cls(setup, seed, device, *setup.held_out(whole), stop, tick, whole)

    @classmethod
    def without_images(
        cls, setup: Setup, *, seed: int, device: torch.device, stop: Stop, tick: Callable[[], Any] = lambda: None
    ) -> Scoring:
        """Makes a search without images, for a scorer that needs no data. Tasks are not fitted."""
        return cls(setup, seed, device, NoImages.none(), NoImages.none(), stop, tick)

    @property
    def config(self) -> Config:
        """The config of the search."""
        return self.setup.config

    @property
    def tasks(self) -> Mapping[str, Task]:
        """The tasks, fitted to the training data."""
        return self.setup.tasks

    @property
    def images(self) -> int:
        """Number of held-out images that a score looks at: ``trials.images``, or all if there are not as many."""
        return len(self._scored)

    @cached_property
    def _scored(self) -> Dataset:
        """A draw from the whole held-out part: the first images of a sorted list show its first scenes alone."""
        number, count = self.config.trials.images, len(self.held_out)
        if number is None or number >= count:
            return self.held_out
        rng = np.random.default_rng(spawn_seed(self.seed, _SCORED))
        return Subset(self.held_out, sorted(rng.choice(count, number, replace=False).tolist()))

    def held_out_batches(self) -> Iterator[Batch]:
        """The held-out images that scores are taken on, as validation sees them.

        They are ``trials.images`` of the held-out part, drawn once by the seed; None takes all. They keep the order
        of the held-out part. A batch has ``evaluate_batch`` images; the last one may have fewer.
        """
        return evaluation_batches(
            self._scored,
            self.tasks,
            eval_transform(self.held_out.info.size),
            batch_size=self.config.evaluate_batch,
        )

    @cached_property
    def kept(self) -> KeptBatches:
        """`held_out_batches` on the device. They are made once for all trials, if they are small enough."""
        return KeptBatches(lambda: (batch.to(self.device) for batch in self.held_out_batches()), self.images)

    @torch.no_grad()
    def held_out_loss(self, predict: Callable[[Batch], Predictions]) -> float:
        """Mean over the images of `held_out_batches` of each image's total loss.

        The loss of every image is taken by itself, so that the mean does not depend on ``evaluate_batch``. A task
        without any label in an image adds 0 to its loss, as in training; an image without any label counts as 0.

        Args:
            predict: Gives the predictions for a batch on the device; it must treat every image by itself.

        Returns:
            A loss, not finite if a prediction is not.

        Raises:
            Interrupted: Somebody asked to stop.
        """
        losses: list[float] = []
        for batch in self.kept:
            self.check_stop()
            of_images = [multi_task_loss(*one, self.tasks)[0] for one in _single_images(predict(batch), batch)]
            losses += torch.stack(of_images).tolist()
        return sum(losses) / len(losses)

    def check_stop(self) -> None:
        """Raises Interrupted if somebody asked to stop."""
        if self.stop.requested:
            raise Interrupted("stopped during a trial; a resumed run starts it again")


def _single_images(predictions: Predictions, batch: Batch) -> Iterator[tuple[Predictions, Batch]]:
    """Predictions and batches of one image each, all tensors still with their batch dimension."""
    for start in range(len(batch)):
        image = slice(start, start + 1)
        yield (
            Predictions(
                {task: maps[image] for task, maps in predictions.final.items()},
                {task: maps[image] for task, maps in predictions.regions.items()},
                {task: [maps[image] for maps in scales] for task, scales in predictions.initial.items()},
            ),
            Batch(
                batch.image[image],
                {task: label[image] for task, label in batch.labels.items()},
                batch.valid[image],
                batch.ids[image],
                batch.padded,
            ),
        )


class Scorer(PathOptions, ABC):
    """Scores genotypes. Built from a `Scoring` and the options of the config's ``trials.scorer``.

    A scorer can be called, so that it is a ``score`` of `strategies.Search`.

    Attributes:
        scoring: The search that it works for.
        needs_data: Whether it looks at images, or at tasks that were fitted to them. Otherwise no dataset is opened,
            and the config need not have one.
    """

    needs_data: ClassVar[bool] = True

    def __init__(self, scoring: Scoring) -> None:
        self.scoring = scoring

    @property
    def setting(self) -> Scoring:
        """The former name of `scoring`."""
        return self.scoring

    def __call__(self, trial: Trial) -> Score:
        """The same as `score`."""
        return self.score(trial)

    @abstractmethod
    def samples(self, trial: Trial) -> int:
        """Number of images that `score` will take: each counts each time it passes through a network."""

    @abstractmethod
    def score(self, trial: Trial) -> Score:
        """Scores a genotype. The same trial of the same search gets the same score.

        Returns:
            A score; a value that is not finite is a failed trial.

        Raises:
            Interrupted: Somebody asked to stop.
        """

    def counts(self, genotype: Genotype) -> Mapping[str, int]:
        """Returns ``parameters`` and ``multiply_adds`` of a genotype's network, if the scorer knows them."""
        return {}


SCORERS: Registry[type[Scorer]] = Registry("scorer", "atrc.scorers")


def needs_data(kind: str, config: Config) -> bool:
    """Tells whether a run opens the dataset: all do, but searches by trials with a scorer that needs no data.

    Args:
        kind: Kind of the run, ``"search"`` or ``"train"``.
        config: Config of the run, whose plugins are imported.

    Raises:
        UnknownNameError: The strategy or the scorer of a search is not registered.
    """
    if kind != "search" or not issubclass(STRATEGIES[config.strategy.name], MultiTrialStrategy):
        return True
    return SCORERS[config.trials.scorer.name].needs_data


def build_scorer(scoring: Scoring) -> Scorer:
    """The config's scorer."""
    named = scoring.config.trials.scorer
    scorer: Scorer = SCORERS.create(named.name, named.options, scoring)
    return scorer
