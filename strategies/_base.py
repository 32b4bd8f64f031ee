"""The two kinds of strategy, and their registry.

- *One-shot* strategies own architecture parameters and a random generator, give a `Selection` for every training
  step of a supernet, and can name their genotype at any time.
- *Multi-trial* strategies are asked for a genotype and told its score.

A strategy reads (space, history, own generator); files, data and networks live elsewhere. ``state_dict`` is *all*
state: a new object that loads it continues exactly where the old one stood.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from enum import Enum
from typing import Any, ClassVar

import torch
from torch import Tensor

from searchspace import Genotype, Registry, SearchSpace, Selection

__all__ = ["STRATEGIES", "DataUse", "MultiTrialStrategy", "OneShotStrategy", "Strategy", "build_strategy"]


class DataUse(Enum):
    """How one search step of a one-shot strategy uses data."""

    SINGLE_LEVEL = "single-level"
    """Weights and architecture parameters learn from the same loss of the same training batch."""
    BI_LEVEL = "bi-level"
    """Weights learn from a training batch, architecture parameters from a held-out one."""
    REWARD = "reward"
    """Weights learn from a training batch; the strategy sees only a score of a held-out one."""


class Strategy(ABC):
    """What both kinds share.

    Attributes:
        name: The registered name.
        summary: One line for `atrc strategies`.
        paper: Where the method comes from.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    paper: ClassVar[str]

    def __init__(self, space: SearchSpace, *, seed: int = 0) -> None:
        self.space = space
        self.seed = seed

    @abstractmethod
    def genotype(self) -> Genotype:
        """The genotype that the strategy would name if the search ended now."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """All state: tensors, numbers, strings, and lists and dicts of them.

        A snapshot: it does not change when the search goes on, and loading it leaves it as it is.
        """

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues from `state_dict` of an object built with the same arguments."""


class OneShotStrategy(Strategy):
    """A strategy that searches within one training of a supernet.

    One step, as `strategies.search_step` runs it: `anneal`, `select`, loss + `penalty`, backward, `update`.
    """

    data_use: ClassVar[DataUse] = DataUse.SINGLE_LEVEL

    @abstractmethod
    def anneal(self, progress: float) -> None:
        """Sets schedules by the fraction of the budget that is spent, in [0, 1]."""

    @abstractmethod
    def select(self) -> Selection:
        """The selection of this training step; may draw from the strategy's generator."""

    def penalty(self) -> Tensor | None:
        """What is added to the loss (entropy, cost), or None."""
        return None

    @abstractmethod
    def update(self) -> None:
        """One step on the architecture parameters from their gradients, which it then clears."""

    @abstractmethod
    def report(self) -> dict[str, Any]:
        """What a trajectory plot needs: ``probabilities`` ({choice: {option: p}}) and scalars, as plain numbers."""

    def num_parameters(self) -> int:
        """Number of architecture parameters."""
        return 0


class MultiTrialStrategy(Strategy):
    """A strategy that proposes genotypes and learns from their scores. Higher scores are better."""

    @abstractmethod
    def ask(self) -> Genotype:
        """The next genotype to score."""

    @abstractmethod
    def tell(self, genotype: Genotype, score: float) -> None:
        """The score of a genotype that was asked for."""


STRATEGIES: Registry[type[Strategy]] = Registry("strategy", "atrc.strategies")


def build_strategy(name: str, space: SearchSpace, *, seed: int, knobs: Mapping[str, Any] | None = None) -> Strategy:
    """A registered strategy on a space.

    Raises:
        InputError: Unknown name, or a knob that it does not have.
    """
    strategy: Strategy = STRATEGIES.create(name, knobs or {}, space, seed=seed)
    return strategy


def seeded_generator(seed: int) -> torch.Generator:
    """A CPU generator of its own; nothing draws from the global one."""
    generator = torch.Generator()
    generator.manual_seed(seed)
    return generator
