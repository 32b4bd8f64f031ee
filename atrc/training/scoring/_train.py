"""Scoring a genotype by training its network, for a part of a full training or for all of it."""

from __future__ import annotations

import numpy as np
import torch

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
        return self._steps(trial) * self.scoring.config.search.batch_size + self.scoring.images

    def _steps(self, trial: Trial) -> int:
        return max(1, round(trial.budget * self.scoring.config.trials.steps))

    def score(self, trial: Trial) -> Score:
        scoring, config = self.scoring, self.scoring.config
        training = config.search.model_copy(update={"steps": self._steps(trial)})
        seed = int(np.random.SeedSequence([scoring.seed, trial.number]).generate_state(1)[0])
        torch.manual_seed(seed)  # initialisation and dropout draw from the global generator
        network = scoring.setup.network("trial", trial.genotype).to(scoring.device)
        learner = WeightLearner(network, training, bfloat16=config.precision == "bfloat16")
        loader = scoring.setup.batches(scoring.train, training, seed=seed, device=scoring.device)
        for step, batch in enumerate(loader.iterate(0, training.steps)):
            scoring.check_stop()
            learner.step(batch.to(scoring.device), step)
            scoring.tick()
        learner.network.eval()
        return Score(-scoring.held_out_loss(learner.predictor()), self.samples(trial))
