"""Scoring a genotype by training its network, for a part of a full training or for all of it."""

from __future__ import annotations

import numpy as np
import torch

from atrc.build import build_network
from atrc.data import BatchLoader
from atrc.training.augmentation import training_transform
from atrc.training.learner import WeightLearner
from atrc.training.scoring._base import SCORERS, Score, Scorer
from strategies import Trial

__all__ = ["TrainScorer"]


@SCORERS.register("train")
class TrainScorer(Scorer):
    """Minus the held-out loss after training the derived network from scratch.

    Optimiser and schedule are those of the config's ``search`` section; a full training has ``trials.steps`` steps,
    and the schedule ends with the trial's budget. Training images and held-out images count as samples. A training
    that diverges gives a value that is not finite.
    """

    def samples(self, trial: Trial) -> int:
        return self._steps(trial) * self.setting.config.search.batch_size + self.setting.images

    def _steps(self, trial: Trial) -> int:
        return max(1, round(trial.budget * self.setting.config.trials.steps))

    def score(self, trial: Trial) -> Score:
        setting, config = self.setting, self.setting.config
        training = config.search.model_copy(update={"steps": self._steps(trial)})
        seed = int(np.random.SeedSequence([setting.seed, trial.number]).generate_state(1)[0])
        torch.manual_seed(seed)  # initialisation and dropout draw from the global generator
        network = build_network(config, setting.tasks, "trial", trial.genotype).to(setting.device)
        learner = WeightLearner(network, training, autocast=config.precision == "bfloat16")
        loader = BatchLoader(
            setting.train,
            setting.tasks,
            training_transform(config.augmentation, setting.train.info),
            batch_size=training.batch_size,
            seed=seed,
            workers=config.workers,
            pin=setting.device.type == "cuda",
        )
        for step, batch in enumerate(loader.iterate(0, training.steps)):
            setting.check_stop()
            learner.step(batch.to(setting.device), step)
            setting.tick()
        learner.network.eval()
        return Score(-setting.held_out_loss(learner.predict), self.samples(trial))
