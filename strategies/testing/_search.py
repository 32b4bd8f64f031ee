"""A strategy at work on a toy problem: what the checks drive, step by step, whatever its kind."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch

from searchspace import Genotype
from strategies._base import MultiTrialStrategy, OneShotStrategy, Strategy
from strategies._step import search_step
from strategies.testing._toy import ToySupernet, toy_batch

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

    def step(self) -> dict[str, list[tuple[str, float]]]:
        batch = toy_batch(self.seed, self.done)
        search_step(self.strategy, self.supernet, batch, self.optimizer, progress=self.done / self.steps)
        self.done += 1
        selection = self.supernet.selection
        assert selection is not None
        return {c: [(o, 1.0 if w is None else w.item()) for o, w in selection[c]] for c in selection.options}

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
    """A multi-trial strategy that is told minus the planted cost of what it asks for.

    Args:
        strategy: A new strategy.
        seed: Draws the costs; a `ToySpace` brings its own.
    """

    def __init__(self, strategy: MultiTrialStrategy, seed: int = 0) -> None:
        self.strategy: MultiTrialStrategy = strategy
        supernet = ToySupernet(strategy.space, seed=seed)
        self.costs, self.optimum = supernet.costs, supernet.optimum

    def step(self) -> dict[str, str]:
        genotype = self.strategy.space.validate(self.strategy.ask())
        self.strategy.tell(genotype, -math.fsum(self.costs[c][o] for c, o in genotype.items()))
        return dict(genotype)

    def state_dict(self) -> dict[str, Any]:
        return {"strategy": self.strategy.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.strategy.load_state_dict(state["strategy"])
