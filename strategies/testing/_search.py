"""A strategy at work on a toy problem: what the checks drive, step by step, whatever its kind."""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch

from searchspace import CostModel, Genotype, Selection
from strategies._base import MultiTrialStrategy, OneShotStrategy, Strategy
from strategies._step import search_step
from strategies.testing._toy import DeceptiveTable, ToySupernet, toy_batch

__all__ = ["MultiTrialSearch", "OneShotSearch", "Search"]


class Search(ABC):
    """A strategy at work on a toy problem, step by step."""

    strategy: Strategy
    optimum: Genotype

    @abstractmethod
    def step(self) -> Any:
        """One step; returns what the strategy proposed, as plain values that compare exactly."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """All state of the strategy and of the problem."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues from `state_dict`."""

    def run(self, steps: int) -> list[Any]:
        """What `step` returns, ``steps`` times."""
        return [self.step() for _ in range(steps)]

    def finish(self) -> None:  # noqa: B027, most have nothing to add
        """What follows the last step."""

    @abstractmethod
    def score(self, genotype: Genotype) -> float:
        """What the problem holds of a genotype, without noise; the optimum has the highest."""


class OneShotSearch(Search):
    """A one-shot strategy on a `ToySupernet`; the weights learn by SGD with momentum.

    Args:
        strategy: A new strategy.
        steps: Length of the whole search, for its schedules.
        seed: Draws the supernet and the batches.
    """

    def __init__(self, strategy: OneShotStrategy, steps: int, seed: int = 0) -> None:
        self.strategy: OneShotStrategy = strategy
        self.supernet = ToySupernet(strategy.space, seed=seed)
        self.optimum = self.supernet.optimum
        self.optimizer = torch.optim.SGD(self.supernet.parameters(), lr=0.1, momentum=0.9)
        self.steps, self.seed, self.done = steps, seed, 0
        self.charged: tuple[CostModel, float] | None = None

    def charge(self, costs: CostModel, weight: float) -> None:
        """Has the strategy, or who scores for it, penalise cost."""
        self.strategy.charge(costs, weight)
        self.charged = costs, weight

    def step(self) -> list[dict[str, list[tuple[str, float]]]]:
        self.supernet.selections.clear()
        search_step(
            self.strategy,
            self.supernet,
            toy_batch(self.seed, 2 * self.done),
            self.optimizer,
            progress=self.done / self.steps,
            held_out=toy_batch(self.seed, 2 * self.done + 1),
        )
        self.done += 1
        return [
            {c: [(o, 1.0 if w is None else w.item()) for o, w in selection[c]] for c in selection.options}
            for selection in self.supernet.selections
        ]

    def score(self, genotype: Genotype) -> float:
        return -math.fsum(self.supernet.costs[choice][option] for choice, option in genotype.items())

    def finish(self) -> None:
        if self.strategy.final is not None:
            batch = toy_batch(self.seed, 2 * self.steps)
            for trial in iter(self.strategy.final.ask, None):
                with torch.no_grad():
                    loss = self.supernet.loss(batch, Selection.of(trial.genotype))
                self.strategy.final.tell(trial, -float(loss) - self._surcharge(trial.genotype))
                if len(self.strategy.final.history) == self.strategy.final_trials:
                    break

    def _surcharge(self, genotype: Genotype) -> float:
        if self.charged is None:
            return 0.0
        costs, weight = self.charged
        return weight * costs.share(self.strategy.space, genotype)

    def state_dict(self) -> dict[str, Any]:
        return {
            "strategy": self.strategy.state_dict(),
            "supernet": self.supernet.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "done": self.done,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.strategy.load_state_dict(state["strategy"])
        self.supernet.load_state_dict(state["supernet"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.done = state["done"]


class MultiTrialSearch(Search):
    """A multi-trial strategy that is told the scores of a `DeceptiveTable`.

    A score for less than the full budget is the table's, with an error that shrinks as the budget grows.

    Args:
        strategy: A new strategy.
        seed: Draws the table.
    """

    def __init__(self, strategy: MultiTrialStrategy, seed: int = 0) -> None:
        self.strategy: MultiTrialStrategy = strategy
        self.table = DeceptiveTable(strategy.space, seed)
        self.optimum = self.table.optimum

    def score(self, genotype: Genotype) -> float:
        return self.table.score(genotype)

    def step(self) -> tuple[dict[str, str], float] | None:
        trial = self.strategy.ask()
        if trial is None:
            return None
        genotype = self.strategy.space.validate(trial.genotype)
        error = random.Random(repr(trial)).gauss(0.0, 0.1)
        self.strategy.tell(trial, self.score(genotype) + error * (1.0 - trial.budget))
        return dict(genotype), trial.budget

    def state_dict(self) -> dict[str, Any]:
        return {"strategy": self.strategy.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.strategy.load_state_dict(state["strategy"])
