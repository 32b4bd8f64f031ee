"""Trains a network once, and measures it at several points of the training."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from atrc.costs import count_parameters
from atrc.data import Batch
from atrc.inference import Predictor, evaluate_split
from atrc.machine.stopping import Interrupted, Stop
from atrc.networks import Predictions, multi_task_loss
from atrc.setup import Setup
from atrc.training._training_run import begin_training
from searchspace import Genotype

__all__ = ["Measured", "train_and_measure"]

RECENT = 10
"""Number of steps whose mean training loss is reported."""


@dataclass(frozen=True)
class Measured:
    """A network after a part of its training.

    Attributes:
        steps: Number of finished steps.
        samples: Number of images that it has learnt from.
        seconds: Processor seconds of these steps, without evaluation.
        metrics: Task -> metric on the validation split, in the task's unit.
        loss: Total loss on the validation split: the mean over its batches, weighted by their images.
        train_loss: Mean total loss of the last ten steps.
        parameters: Number of learned parameters.
        multiply_adds: Multiply-adds for one image.
    """

    steps: int
    samples: int
    seconds: float
    metrics: dict[str, float]
    loss: float
    train_loss: float
    parameters: int
    multiply_adds: int


def train_and_measure(
    setup: Setup,
    model: str,
    genotype: Genotype | None,
    *,
    seed: int,
    steps: Sequence[int],
    device: torch.device,
    stop: Stop,
) -> list[Measured]:
    """Trains a network as ``atrc train`` does, to the bit, and measures it after each of some numbers of steps.

    The schedule is that of the whole training, so a network that was measured early is not what a short training
    would give. Nothing is written.

    Args:
        setup: Setup of the config; ``train.steps`` is the length of the training.
        model: The model, see `Setup.genotype`; used only if there is no genotype.
        genotype: The genotype, or None for a baseline.
        seed: Seed of initialisation, order of data and augmentation.
        steps: Numbers of steps, ascending; the last one is at most ``train.steps``.
        device: Where to compute.
        stop: Flag that requests an early end.

    Raises:
        Interrupted: ``stop`` was requested.
    """
    config, training = setup.config, setup.config.train
    learner, loader, train, validation = begin_training(setup, model, genotype, seed, device)
    network = learner.network
    setup.fit(train, learner.tasks)
    parameters, multiply_adds = count_parameters(network), setup.multiply_adds(network, model, genotype)
    losses: list[torch.Tensor] = []
    found: list[Measured] = []
    seconds, started = 0.0, time.process_time()
    for step, batch in enumerate(loader.iterate(0, steps[-1])):
        losses.append(learner.step(batch.to(device), step)["loss"])
        if stop.requested:
            raise Interrupted(
                f"stopped at step {step + 1} of {steps[-1]}; the next time, this network is trained anew"
            )
        if step + 1 not in steps:
            continue
        seconds += time.process_time() - started
        predictor = _LossPredictor(network, bfloat16=learner.bfloat16)
        metrics = evaluate_split(config, predictor, validation, stop=stop, quiet=True)
        recent = [float(loss) for loss in losses[-RECENT:]]
        found.append(
            Measured(
                steps=step + 1,
                samples=(step + 1) * training.batch_size,
                seconds=round(seconds, 3),
                metrics=metrics,
                loss=predictor.loss(),
                train_loss=sum(recent) / len(recent),
                parameters=parameters,
                multiply_adds=multiply_adds,
            )
        )
        started = time.process_time()
    return found


class _LossPredictor(Predictor):
    """Adds up the loss of the batches that it predicts."""

    _total, _images = 0.0, 0

    def __call__(self, batch: Batch) -> Predictions:
        out = super().__call__(batch)
        self._total += float(multi_task_loss(out, batch, self.tasks)[0]) * len(batch)
        self._images += len(batch)
        return out

    def loss(self) -> float:
        """Returns the mean loss of an image."""
        return self._total / self._images
