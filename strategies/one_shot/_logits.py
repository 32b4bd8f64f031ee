"""Base class of strategies with independent logits per choice: optimiser, schedules, cost penalty, state."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from searchspace import CostModel, Genotype, SearchSpace
from strategies._categorical import Categorical, entropy, restore_generator, seeded_generator
from strategies._knobs import number, pair
from strategies._optimizers import eager
from strategies.one_shot._base import OneShotStrategy

__all__ = ["LogitStrategy"]


class LogitStrategy(OneShotStrategy):
    """A strategy that learns a (J, K) matrix of logits by Adam.

    Args:
        space: Any space of independent choices.
        seed: Seeds everything that the strategy draws.
        lr: Learning rate of the logits, constant, > 0.
        betas: Decay rates of Adam's two moments, in [0, 1).
        weight_decay: Weight decay of the logits, >= 0.
        schedules: Names of attributes with their values at the start and at the end, linear in progress. `anneal`
            sets them; they are reported and saved.

    Attributes:
        distribution: The distributions, which hold the logits.
        optimizer: The logits' Adam.

    Raises:
        InputError: A knob is out of its range.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.0,
        schedules: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        super().__init__(space, seed=seed)
        self.distribution = Categorical(space)
        self.optimizer = eager(torch.optim.Adam)(
            [self.distribution.logits],
            lr=number("lr", lr, above=0),
            betas=pair("betas", betas, at_least=0, below=1),
            weight_decay=number("weight_decay", weight_decay, at_least=0),
        )
        self._generator = seeded_generator(seed)
        self._costs: CostModel | None = None
        self._cost_weight = 0.0
        self._schedules = dict(schedules or {})
        self.anneal(0.0)

    def anneal(self, progress: float) -> None:
        for name, (start, end) in self._schedules.items():
            setattr(self, name, (1.0 - progress) * start + progress * end)  # in this form both ends are exact

    def to(self, device: torch.device) -> None:
        if device == self.distribution.logits.device:
            return
        state = self.state_dict()
        self.distribution = Categorical(self.space, device)
        self.optimizer.param_groups[0]["params"] = self.parameters()
        self._generator = seeded_generator(self.seed, device)
        self.load_state_dict(state)

    def parameters(self) -> list[Tensor]:
        return [self.distribution.logits]

    def num_parameters(self) -> int:
        return self.distribution.num_parameters()

    def probabilities(self) -> Tensor:
        """Returns the probability of every option, ``(J, K)``; rows sum to 1."""
        return self.distribution.probabilities

    def regulariser(self) -> Tensor | None:
        """Returns the penalty of the method itself, without that of cost, or None."""
        return None

    def charge(self, costs: CostModel, weight: float) -> None:
        self._costs, self._cost_weight = costs, weight

    def penalty(self) -> Tensor | None:
        own = self.regulariser()
        if self._costs is None:
            return own
        expected = self._cost_weight * self._costs.expected_share(self.space, self.probabilities())
        return expected if own is None else own + expected

    def update(self) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def genotype(self) -> Genotype:
        return self.distribution.genotype()

    def report(self) -> dict[str, Any]:
        probabilities = self.probabilities().detach()
        return {
            **{name: getattr(self, name) for name in self._schedules},
            "entropy": float(entropy(probabilities.log()).mean()),
            "probabilities": self.distribution.table(probabilities),
        }

    def state_dict(self) -> dict[str, Any]:
        return {
            "distribution": self.distribution.state_dict(),
            "optimizer": copy.deepcopy(self.optimizer.state_dict()),  # which holds its live moments
            "generator": self._generator.get_state(),
            **{name: getattr(self, name) for name in self._schedules},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.distribution.load_state_dict(state["distribution"])
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        restore_generator(self._generator, state["generator"])
        for name in self._schedules:
            setattr(self, name, state[name])
