"""The two kinds of strategy, and their registry.

- *One-shot* strategies own architecture parameters and a random generator, give a `Selection` for every training
  step of a supernet, and can name their genotype at any time.
- *Multi-trial* strategies are asked for a genotype and told its score.

A strategy reads (space, history, own generator); files, data and networks live elsewhere. ``state_dict`` is *all*
state: a new object that loads it continues exactly where the old one stood.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from searchspace import CostModel, Genotype, InputError, Registry, SearchSpace, Selection

if TYPE_CHECKING:
    from strategies._step import Step

__all__ = [
    "STRATEGIES",
    "DataUse",
    "MultiTrialStrategy",
    "OneShotStrategy",
    "Scored",
    "Strategy",
    "Trial",
    "build_strategy",
    "rng_state",
    "seeded_generator",
    "set_rng_state",
]


class DataUse(Enum):
    """How one search step of a one-shot strategy uses data."""

    SINGLE_LEVEL = "single-level"
    """Weights and architecture parameters learn from the same loss of the same training batch."""
    BI_LEVEL = "bi-level"
    """Weights learn from a training batch, architecture parameters from a held-out one."""
    REWARD = "reward"
    """Weights learn from a training batch; the strategy sees only a score of a held-out one."""

    @property
    def batches(self) -> int:
        """Batches that one step reads: what makes a budget of samples a number of steps."""
        return 1 if self is DataUse.SINGLE_LEVEL else 2


class Strategy(ABC):
    """What both kinds share.

    Attributes:
        kind: ``"one-shot"`` or ``"multi-trial"``.
        name: The registered name.
        summary: One line for `atrc strategies`.
        paper: Where the method comes from.
    """

    kind: ClassVar[str]
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
    """A strategy that searches within one training of a supernet; `strategies.search_step` runs one step of it.

    Attributes:
        data_use: How a step uses data.
        passes: Forward and backward passes of one step; half for a forward pass alone.
        active_paths: How many options of a choice one step computes, ``"all"``, or ``"one"`` and the like; for lists.
        final: Where the genotype is chosen after the training, by scores with inherited weights: what chooses it.
        final_trials: How many genotypes ``final`` scores.
    """

    kind = "one-shot"
    data_use: ClassVar[DataUse] = DataUse.SINGLE_LEVEL
    passes: ClassVar[float] = 1
    active_paths: ClassVar[str] = "all"
    final: MultiTrialStrategy | None = None
    final_trials: int = 0

    @abstractmethod
    def anneal(self, progress: float) -> None:
        """Sets schedules by the fraction of the budget that is spent, in [0, 1]."""

    @abstractmethod
    def select(self) -> Selection:
        """The selection under which the weights learn; may draw from the strategy's generator."""

    def select_to_learn(self) -> Selection:
        """The selection under which a bi-level or reward strategy itself learns; by default drawn as the other."""
        return self.select()

    def parameters(self) -> Sequence[Tensor]:
        """The architecture parameters: leaf tensors."""
        return ()

    def num_parameters(self) -> int:
        """Number of architecture parameters."""
        return sum(parameter.numel() for parameter in self.parameters())

    def penalty(self) -> Tensor | None:
        """What is added to the loss that the architecture parameters learn from (entropy, cost), or None."""
        return None

    def penalised(self, loss: Tensor) -> Tensor:
        """The loss that the architecture parameters learn from."""
        penalty = self.penalty()
        return loss if penalty is None else loss + penalty.to(loss.device)

    def charge(self, costs: CostModel, weight: float) -> None:
        """From now on, expensive genotypes are penalised.

        Args:
            costs: Of genotypes.
            weight: What the whole range from the cheapest genotype to the most expensive one counts in the loss.

        Raises:
            InputError: The strategy has no such penalty.
        """
        raise InputError(f"strategy {self.name!r} takes no cost into account")

    def held_out_gradients(self, step: Step[Any]) -> None:
        """Sets the gradients of a bi-level strategy's parameters; the weights keep their values and gradients."""
        loss = step.supernet.loss(step.held_out, self.select_to_learn())
        parameters = self.parameters()
        gradients = torch.autograd.grad(self.penalised(loss), parameters, materialize_grads=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient

    def reward(self, score: float) -> None:
        """Sets the gradients of a reward strategy's parameters from the score of `select_to_learn`'s selection."""
        raise NotImplementedError

    @abstractmethod
    def update(self) -> None:
        """One step on the architecture parameters from their gradients, which it then clears."""

    @abstractmethod
    def report(self) -> dict[str, Any]:
        """What a trajectory plot needs: ``probabilities`` ({choice: {option: p}}) and scalars, as plain numbers."""


@dataclass(frozen=True)
class Trial:
    """A genotype that a multi-trial strategy wants scored.

    Attributes:
        number: Counts the strategy's trials from 0.
        genotype: A genotype of its space.
        budget: Fraction of a full training that the score is worth, in (0, 1].
    """

    number: int
    genotype: Genotype
    budget: float = 1.0


@dataclass(frozen=True)
class Scored:
    """A trial with its outcome.

    Attributes:
        trial: The trial.
        score: Higher is better.
        cost: Lower is better; 0 where no cost counts.
    """

    trial: Trial
    score: float
    cost: float = 0.0


class MultiTrialStrategy(Strategy):
    """A strategy that proposes genotypes and learns from their scores. Higher scores are better.

    Most are a policy over (space, history, own generator) and define `propose` alone.

    Attributes:
        rng: The strategy's own generator.
        asked: Every trial that was asked for.
        history: Every outcome that was told, in that order.
        multi_objective: Whether costs are a second objective; otherwise who tells scores subtracts what they count.
    """

    kind = "multi-trial"
    multi_objective: ClassVar[bool] = False

    def __init__(self, space: SearchSpace, *, seed: int = 0) -> None:
        super().__init__(space, seed=seed)
        self.rng = random.Random(seed)
        self.asked: list[Trial] = []
        self.history: list[Scored] = []

    @abstractmethod
    def propose(self) -> Genotype | None:
        """The next genotype; None where nothing is left to propose, or not before a score comes."""

    def ask(self) -> Trial | None:
        """The next trial; None where nothing is left to try, or not before a score comes."""
        genotype = self.propose()
        return None if genotype is None else self._new_trial(genotype)

    def tell(self, trial: Trial, score: float, cost: float = 0.0) -> None:
        """The outcome of a trial that was asked for."""
        if not (trial.number < len(self.asked) and self.asked[trial.number] == trial):
            raise InputError(f"trial {trial.number} was not asked for by this strategy")
        self.history.append(Scored(trial, score, cost))

    def genotype(self) -> Genotype:
        """The best score among the trials of the largest budget; before any, one drawn by the seed."""
        if not self.history:
            return self.space.sample(random.Random(self.seed))
        return max(self.history, key=lambda told: (told.trial.budget, told.score)).trial.genotype

    def _new_trial(self, genotype: Genotype, budget: float = 1.0) -> Trial:
        trial = Trial(len(self.asked), genotype, budget)
        self.asked.append(trial)
        return trial

    def state_dict(self) -> dict[str, Any]:
        return {
            "rng": rng_state(self.rng),
            "asked": [[list(self.space.encode(trial.genotype)), trial.budget] for trial in self.asked],
            "history": [[told.trial.number, told.score, told.cost] for told in self.history],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        set_rng_state(self.rng, state["rng"])
        asked = enumerate(state["asked"])
        self.asked = [Trial(number, self.space.decode(indices), budget) for number, (indices, budget) in asked]
        self.history = [Scored(self.asked[number], score, cost) for number, score, cost in state["history"]]


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


def rng_state(rng: random.Random) -> list[Any]:
    """All state of a generator, as plain lists and numbers."""
    version, internal, gauss = rng.getstate()
    return [version, list(internal), gauss]


def set_rng_state(rng: random.Random, state: Sequence[Any]) -> None:
    """Inverse of `rng_state`."""
    version, internal, gauss = state
    rng.setstate((version, tuple(internal), gauss))
