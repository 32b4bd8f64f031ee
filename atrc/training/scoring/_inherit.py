"""Scoring a genotype with the weights of a trained supergraph: no training, one pass over held-out images."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import torch
from torch import nn

from atrc.data import Batch, BatchLoader
from atrc.network import SearchNetwork
from atrc.training.augmentation import training_transform
from atrc.training.scoring._base import SCORERS, Score, Scorer, Setting
from searchspace import Genotype, InputError, Selection
from strategies import Trial

__all__ = ["InheritScorer", "inherited_loss", "recalibrate"]

RECALIBRATION_BATCHES = 8


@torch.no_grad()
def recalibrate(network: SearchNetwork, genotype: Genotype, batches: Iterable[Batch], device: torch.device) -> None:
    """Takes the batch-norm statistics of what a genotype runs anew, as plain means over batches.

    A supergraph's running statistics mix all paths that ran through a layer, and predict badly for any one of them.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative mean
    network.train()
    selection = Selection.of(genotype)
    for batch in batches:
        network(batch.image.to(device), selection, batch.valid.to(device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()


def inherited_loss(network: SearchNetwork, genotype: Genotype, setting: Setting) -> float:
    """Held-out loss of a genotype with a supergraph's weights, its batch-norm statistics recalibrated first."""
    config = setting.config
    loader = BatchLoader(
        setting.train,
        setting.tasks,
        training_transform(config.augmentation, setting.train.info.size),
        batch_size=config.search.batch_size,
        seed=setting.seed,
    )
    recalibrate(network, genotype, islice(loader.iterate(), RECALIBRATION_BATCHES), setting.device)
    selection = Selection.of(genotype)
    return setting.held_out_loss(lambda batch: network(batch.image, selection, batch.valid))


@SCORERS.register("inherit")
class InheritScorer(Scorer):
    """Minus the held-out loss with the weights of a finished search run.

    Args:
        setting: See `Scorer`.
        run: Directory of a one-shot search of the same tasks.
    """

    def __init__(self, setting: Setting, run: str) -> None:
        from atrc.runs import RunDirectory
        from atrc.training.execute import load_learner  # which runs scorers

        super().__init__(setting)
        network = load_learner(RunDirectory.open(Path(run)), setting.device).network
        if not isinstance(network, SearchNetwork):
            raise InputError(f"run {run} trained no supergraph whose weights could be inherited")
        if set(network.tasks) != set(setting.tasks):
            raise InputError(f"run {run} is of the tasks {', '.join(network.tasks)}, not {', '.join(setting.tasks)}")
        self.network = network

    def samples(self, trial: Trial) -> int:
        images = self.setting.config.trials.images or len(self.setting.held_out)
        return images + RECALIBRATION_BATCHES * self.setting.config.search.batch_size

    def score(self, trial: Trial) -> Score:
        return Score(-inherited_loss(self.network, trial.genotype, self.setting), self.samples(trial))
