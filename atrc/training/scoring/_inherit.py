"""Scoring a genotype with the weights of a supernet: no training, one pass over held-out images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from atrc.data import Batch, collate
from atrc.inference import open_run
from atrc.supernets import MultiTaskSupernet
from atrc.training.scoring._base import SCORERS, Score, Scorer, Scoring
from atrc.training.scoring._shared import KeptBatches, SharedTrunk
from searchspace import Genotype, InputError, SearchSpace, Selection
from strategies import Trial
from strategies._base import spawn_seed
from strategies._statistics import pooled_statistics

__all__ = ["InheritScorer", "InheritedScorer", "recalibrate"]

CHUNK = 8
"""Images of a forward pass that takes statistics. They depend on it: no setting for speed or memory changes it."""
_RECALIBRATION = 6
"""Spawns the seed of the draw of training images; smaller keys belong to the search and to the held-out images."""


@torch.no_grad()
def recalibrate(
    network: MultiTaskSupernet, genotype: Genotype, batches: Iterable[Batch], device: torch.device
) -> None:
    """Takes the batch-norm statistics of what a genotype runs anew, pooled over batches.

    A supernet's running statistics mix all paths that ran through a layer, and predict badly for any one of them.

    Args:
        network: Ends in evaluation mode; dropout does not act.
        genotype: A genotype of its space.
        batches: Training images; see `strategies._statistics.pooled_statistics` on how the cut into batches matters.
        device: The network's device.
    """
    selection = Selection.of(genotype)
    network.eval()
    with pooled_statistics(network):
        for batch in batches:
            moved = batch.to(device)
            network(moved.image, selection, moved.mask)


class InheritedScorer(Scorer):
    """Minus the held-out loss with the weights of a supernet, after its batch norms are recalibrated.

    The statistics are taken on ``trials.recalibration`` training images. They are drawn by the seed, an epoch after
    the other if there are fewer, augmented as in training, and always cut into chunks of 8.

    Args:
        scoring: See `Scorer`.
        network: A supernet of the search's space on the search's device. Its weights are left as they are; its
            batch-norm statistics are those of the genotype that was scored last.
    """

    def __init__(self, scoring: Scoring, network: MultiTaskSupernet) -> None:
        super().__init__(scoring)
        self.network = network
        images = scoring.config.trials.recalibration
        self._chunks = KeptBatches(self._recalibration_batches, images)
        self._trunk = SharedTrunk(network, images + scoring.images)

    def samples(self, trial: Trial) -> int:
        return self.scoring.config.trials.recalibration + self.scoring.images

    def score(self, trial: Trial) -> Score:
        self.recalibrate(trial.genotype)
        selection = Selection.of(trial.genotype)
        with self._trunk.remembered(self.scoring.kept):
            loss = self.scoring.held_out_loss(lambda batch: self.network(batch.image, selection, batch.mask))
        return Score(-loss, self.samples(trial))

    def recalibrate(self, genotype: Genotype) -> None:
        """Leaves the network in evaluation mode with the batch-norm statistics of a genotype.

        Raises:
            Interrupted: Somebody asked to stop.
        """
        self._trunk.recalibrate(
            self._chunks, lambda: recalibrate(self.network, genotype, self._checked(), self.scoring.device)
        )

    def _checked(self) -> Iterator[Batch]:
        for batch in self._chunks:
            self.scoring.check_stop()
            yield batch

    def _recalibration_batches(self) -> Iterator[Batch]:
        scoring = self.scoring
        train, number = scoring.train, scoring.config.trials.recalibration
        transform = scoring.setup.augmentation()
        rng = np.random.default_rng(spawn_seed(scoring.seed, _RECALIBRATION))
        epochs = [rng.permutation(len(train)) for _ in range(-(-number // len(train)))]
        drawn = np.concatenate(epochs)[:number]
        # A last image alone joins the chunk before: a norm after global pooling needs two images.
        for chunk in np.split(drawn, range(CHUNK, number - 1, CHUNK)):
            batch = collate([transform(train[int(index)], scoring.tasks, rng) for index in chunk])
            yield replace(batch, labels={}).to(scoring.device)


@SCORERS.register("inherit")
class InheritScorer(InheritedScorer):
    """Minus the held-out loss with the weights of a finished search run, see `InheritedScorer`.

    Args:
        scoring: See `Scorer`.
        run: Directory of a one-shot search of the same tasks, in a space with the same choices and at least the same
            options.

    Raises:
        InputError: The run has no supernet, or one of other tasks, choices or options.
    """

    paths = ("run",)

    def __init__(self, scoring: Scoring, run: str | Path) -> None:
        network = open_run(run, str(scoring.device)).network
        if not isinstance(network, MultiTaskSupernet):
            raise InputError(f"run {run} trained no supernet whose weights could be inherited")
        if set(network.tasks) != set(scoring.tasks):
            raise InputError(f"run {run} has the tasks {', '.join(network.tasks)}, not {', '.join(scoring.tasks)}")
        _check_choices(network.space, scoring.setup.space, run)
        super().__init__(scoring, network)


def _check_choices(trained: SearchSpace, searched: SearchSpace, run: str | Path) -> None:
    """Refuses a supernet that cannot run every genotype of the space."""
    for choice, options in searched.items():
        lacking = [option for option in options if choice not in trained or option not in trained[choice]]
        if lacking:
            raise InputError(
                f"the supernet of run {run} lacks options of choice {choice!r} of the search's space: "
                f"{', '.join(lacking)}; search a space that the run has, or inherit from another run"
            )
    for choice in trained:
        if choice not in searched:
            raise InputError(f"the supernet of run {run} has the choice {choice!r}, which the search's space lacks")
