"""REINFORCE: logits per choice that learn from the scores of their samples.

Williams, Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning, 1992; for
architecture search Zoph and Le, ICLR 2017.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

from searchspace import Genotype, SearchSpace
from strategies._base import STRATEGIES
from strategies._knobs import number
from strategies.multi_trial._base import MultiTrialStrategy, Trial

__all__ = ["Reinforce"]


@STRATEGIES.register("reinforce")
class Reinforce(MultiTrialStrategy):
    """Draws genotypes from independent distributions; those that score above a moving average become likelier.

    Advantages are divided by a moving standard deviation, so that ``lr`` does not depend on the unit of scores. A
    failed trial is ignored.

    Args:
        space: Any space of independent choices.
        seed: Seeds the draws.
        lr: Learning rate of the logits' Adam, > 0.
        baseline_decay: Decay of the moving average and deviation of the scores, in [0, 1).
    """

    name = "reinforce"
    summary = "policy gradient on independent logits"
    paper = "Zoph and Le, ICLR 2017"
    meets_constraints = False

    def __init__(self, space: SearchSpace, *, seed: int = 0, lr: float = 0.02, baseline_decay: float = 0.9) -> None:
        import torch  # only this multi-trial strategy needs it

        from strategies._categorical import Categorical, seeded_generator
        from strategies._optimizers import eager

        super().__init__(space, seed=seed)
        self._generator = seeded_generator(seed)
        self.distribution = Categorical(space)
        self.optimizer = eager(torch.optim.Adam)([self.distribution.logits], lr=number("lr", lr, above=0))
        self._decay = number("baseline_decay", baseline_decay, at_least=0, below=1)
        self._mean: float | None = None
        self._variance = 0.0

    def propose(self) -> Genotype:
        return self.space.decode(self.distribution.sample(self._generator).flatten().tolist())

    def tell(self, trial: Trial, score: float, cost: float = 0.0) -> None:
        import torch

        super().tell(trial, score, cost)
        if not math.isfinite(score):
            return
        if self._mean is None:
            self._mean = score
        advantage = score - self._mean
        self._mean += (1 - self._decay) * advantage
        self._variance = self._decay * (self._variance + (1 - self._decay) * advantage**2)
        if self._variance == 0:
            return
        log_p = torch.log_softmax(self.distribution.masked_logits, dim=-1)
        chosen = log_p[torch.arange(len(log_p)), torch.tensor(self.space.encode(trial.genotype))]
        (-advantage / self._variance**0.5 * chosen.sum()).backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        return {
            **super().state_dict(),
            "distribution": self.distribution.state_dict(),
            "optimizer": copy.deepcopy(self.optimizer.state_dict()),
            "generator": self._generator.get_state(),
            "scores": [self._mean, self._variance],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.distribution.load_state_dict(state["distribution"])
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self._generator.set_state(state["generator"])
        self._mean, self._variance = state["scores"]
