"""What scorers have in common, and their registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from atrc.config import Config
from atrc.data import Batch, Dataset, eval_transform, evaluation_batches
from atrc.network import Predictions, multi_task_loss
from atrc.tasks import Task
from atrc.training.stopping import Interrupted, Stop
from searchspace import Registry
from strategies import Trial

__all__ = ["SCORERS", "Score", "Scorer", "Setting"]


@dataclass(frozen=True)
class Setting:
    """What a scorer may use.

    Attributes:
        config: Of the search.
        seed: Of the search.
        device: Where to compute.
        tasks: Fitted to the training data.
        train: What weights learn from.
        held_out: What scores are taken on.
        stop: Whether somebody asked to stop.
        tick: Called after every training step.
    """

    config: Config
    seed: int
    device: torch.device
    tasks: Mapping[str, Task]
    train: Dataset
    held_out: Dataset
    stop: Stop
    tick: Callable[[], Any] = lambda: None

    def held_out_batches(self) -> Iterator[Batch]:
        """The first ``trials.images`` held-out images, as validation sees them."""
        size = self.config.evaluate_batch
        batches = evaluation_batches(
            self.held_out, self.tasks, eval_transform(self.held_out.info.size), batch_size=size
        )
        number = self.config.trials.images
        return batches if number is None else islice(batches, -(-number // size))

    @torch.no_grad()
    def held_out_loss(self, predict: Callable[[Batch], Predictions]) -> float:
        """Mean total loss over `held_out_batches`."""
        total, images = 0.0, 0
        for cpu_batch in self.held_out_batches():
            self.check_stop()
            batch = cpu_batch.to(self.device)
            loss: Tensor = multi_task_loss(predict(batch), batch, self.tasks)[0]
            total += float(loss) * len(batch.image)
            images += len(batch.image)
        return total / images

    def check_stop(self) -> None:
        """Raises Interrupted if somebody asked to stop."""
        if self.stop.requested:
            raise Interrupted("stopped within a trial, which a resumed run starts again")


@dataclass(frozen=True)
class Score:
    """The outcome of a trial.

    Attributes:
        value: Higher is better.
        samples: Images that it took: seen in training, or looked at.
    """

    value: float
    samples: int


class Scorer(ABC):
    """Scores genotypes. Built from a `Setting` and the options of the config's ``trials.scorer``."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    @abstractmethod
    def samples(self, trial: Trial) -> int:
        """What `score` will take."""

    @abstractmethod
    def score(self, trial: Trial) -> Score:
        """Scores a genotype. The same trial of the same search gets the same score.

        Raises:
            Interrupted: Somebody asked to stop.
        """


SCORERS: Registry[type[Scorer]] = Registry("scorer", "atrc.scorers")
