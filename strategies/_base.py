"""The two kinds of strategy, and their registry.

- *One-shot* strategies own architecture parameters and a random generator, give a `Selection` for every training
  step of a supernet, and can name their genotype at any time.
- *Multi-trial* strategies are asked for a genotype and told its score.

A strategy reads (space, history, own generator); files, data and networks live elsewhere. ``state_dict`` is *all*
state: a new object that loads it continues exactly where the old one stood. `strategies.Search` drives both kinds.
"""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from searchspace import CostModel, Genotype, InputError, Registry, SearchSpace, Selection
from searchspace.paths import PathOptions

if TYPE_CHECKING:
    from strategies._step import Step

__all__ = [
    "STRATEGIES",
    "Choosing",
    "DataUse",
    "MultiTrialStrategy",
    "NothingNamed",
    "OneShotStrategy",
    "Scored",
    "Strategy",
    "Trial",
    "build_strategy",
    "refuse_unsupported",
    "rng_state",
    "seeded_generator",
    "set_rng_state",
    "spawn_seed",
]


class NothingNamed(InputError):
    """No genotype can be named yet; the message says what is missing."""


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
        """Batches that one step reads."""
        return 1 if self is DataUse.SINGLE_LEVEL else 2


class Strategy(PathOptions, ABC):
    """What both kinds share.

    Attributes:
        kind: ``"one-shot"`` or ``"multi-trial"``.
        name: The registered name.
        summary: One line for `atrc strategies`.
        paper: Where the method comes from.
        meets_constraints: Whether it can search a space with constraints between choices.
    """

    kind: ClassVar[str]
    name: ClassVar[str]
    summary: ClassVar[str]
    paper: ClassVar[str]
    meets_constraints: ClassVar[bool] = False

    def __init__(self, space: SearchSpace, *, seed: int = 0) -> None:
        self.space = space
        self.seed = seed

    def supports(self, space: SearchSpace, objectives: Sequence[str] = ("score",)) -> bool:
        """Whether the strategy can search a space by these objectives.

        Args:
            space: The space.
            objectives: ``("score",)``, or ``("score", "cost")`` where expensive genotypes are penalised.
        """
        return self.meets_constraints or not space.constrained

    @abstractmethod
    def genotype(self) -> Genotype:
        """The genotype that the strategy would name if the search ended now; never a random draw.

        Raises:
            NothingNamed: Nothing can be named yet.
        """

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

    Attributes:
        data_use: How a step uses data.
        passes: Cost of one step in forward and backward passes; a forward pass alone counts half.
        active_paths: How many options of a choice one step computes: text for `atrc strategies`, e.g. ``"one"``.
    """

    kind = "one-shot"
    data_use: ClassVar[DataUse] = DataUse.SINGLE_LEVEL
    passes: ClassVar[float] = 1
    active_paths: ClassVar[str] = "all"

    @classmethod
    def looks(cls) -> int:
        """Batches that one step passes through the supernet, forward passes alone included.

        By default one of every kind that the step reads. It turns a number of samples into a number of steps before
        the first step is made; while a search runs, its ledger counts what really happens.
        """
        return cls.data_use.batches

    def supports(self, space: SearchSpace, objectives: Sequence[str] = ("score",)) -> bool:
        charged = type(self).charge is not OneShotStrategy.charge
        return super().supports(space, objectives) and (charged or "cost" not in objectives)

    def second_stage(self) -> Choosing | None:
        """What chooses the genotype after the training, with the weights that it left; None where nothing has to."""
        return None

    @abstractmethod
    def anneal(self, progress: float) -> None:
        """Sets schedules by the fraction of the training's budget that is spent, in [0, 1]."""

    @abstractmethod
    def select(self) -> Selection:
        """The selection under which the weights learn; may draw from the strategy's generator."""

    def select_to_learn(self) -> Selection:
        """The selection under which a bi-level or reward strategy itself learns; by default the same as `select`."""
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
            weight: Penalty of the most expensive genotype, in units of the loss; the cheapest pays 0.

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
        score: Higher is better; minus infinity where the trial failed.
        cost: Lower is better; 0 where no cost counts.
    """

    trial: Trial
    score: float
    cost: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether the trial has no score."""
        return not math.isfinite(self.score)

    @property
    def rank(self) -> tuple[float, float]:
        """What outcomes are compared by: first the training that a score is worth, then the score."""
        return self.trial.budget, self.score


class MultiTrialStrategy(Strategy):
    """A strategy that proposes genotypes and learns from their scores. Higher scores are better.

    Most are a policy over (space, history, own generator) and define `propose` alone. Several trials may be asked for
    before the first is told.

    Attributes:
        rng: The strategy's own generator.
        asked: Every trial that was asked for.
        history: Every outcome that was told, in that order; failures too.
        multi_objective: Whether costs are a second objective; otherwise the driver subtracts the cost's penalty from
            the score before it tells it.
    """

    kind = "multi-trial"
    meets_constraints = True
    multi_objective: ClassVar[bool] = False

    def __init__(self, space: SearchSpace, *, seed: int = 0) -> None:
        super().__init__(space, seed=seed)
        self.rng = random.Random(seed)
        self.asked: list[Trial] = []
        self.history: list[Scored] = []
        self._told: set[int] = set()
        self._best: Scored | None = None

    def supports(self, space: SearchSpace, objectives: Sequence[str] = ("score",)) -> bool:
        return super().supports(space, objectives) and ("cost" in objectives or not self.multi_objective)

    @abstractmethod
    def propose(self) -> Genotype | None:
        """The next genotype; None where nothing is left to propose, or not before a score comes."""

    def ask(self) -> Trial | None:
        """The next trial; None where nothing is left to try, or not before a score comes."""
        genotype = self.propose()
        return None if genotype is None else self._new_trial(genotype)

    def tell(self, trial: Trial, score: float, cost: float = 0.0) -> None:
        """The outcome of a trial that was asked for, once. A score that is not finite counts as a failure.

        A subclass that learns from scores learns nothing from one that is not finite.
        """
        self._record(Scored(trial, score if math.isfinite(score) else -math.inf, cost))

    def fail(self, trial: Trial) -> None:
        """A trial that was asked for has no score: it diverged, or was given up."""
        self._record(Scored(trial, -math.inf))

    def genotype(self) -> Genotype:
        """The best score among the trials of the largest budget that has one; failures do not count."""
        if self._best is None:
            raise NothingNamed(f"strategy {self.name!r} names no genotype yet: no trial has a finite score")
        return self._best.trial.genotype

    def _record(self, outcome: Scored) -> None:
        trial = outcome.trial
        if not (trial.number < len(self.asked) and self.asked[trial.number] == trial):
            raise InputError(f"trial {trial.number} was not asked for by this strategy")
        if trial.number in self._told:
            raise InputError(f"trial {trial.number} was told before")
        self._told.add(trial.number)
        self.history.append(outcome)
        best = self._best
        if not outcome.failed and (best is None or outcome.rank > best.rank):
            self._best = outcome

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
        self.history, self._told, self._best = [], set(), None
        for number, score, cost in state["history"]:
            self._record(Scored(self.asked[number], score, cost))


@dataclass(frozen=True)
class Choosing:
    """A second stage: genotypes are scored with the weights that the training of a supernet left.

    Attributes:
        strategy: Asks for genotypes and names one; it draws from a generator of its own.
        trials: How many genotypes it asks for.
    """

    strategy: MultiTrialStrategy
    trials: int


STRATEGIES: Registry[type[Strategy]] = Registry("strategy", "atrc.strategies")


def build_strategy(name: str, space: SearchSpace, *, seed: int, knobs: Mapping[str, Any] | None = None) -> Strategy:
    """A registered strategy on a space.

    Raises:
        InputError: Unknown name, or a knob that it does not have.
    """
    strategy: Strategy = STRATEGIES.create(name, knobs or {}, space, seed=seed)
    return strategy


def refuse_unsupported(strategy: Strategy, objectives: Sequence[str]) -> None:
    """Raises InputError if a strategy cannot search its space by these objectives."""
    if strategy.supports(strategy.space, objectives):
        return
    if strategy.space.constrained and not strategy.meets_constraints:
        able = sorted(name for name, entry in STRATEGIES.items() if entry.meets_constraints)
        raise InputError(
            f"strategy {strategy.name!r} treats choices as independent and cannot search the space "
            f"{strategy.space.name!r}, whose choices depend on one another; these can: {', '.join(able)}"
        )
    lacks = (
        "takes no cost into account" if "cost" in objectives else "has cost as an objective, and no cost counts here"
    )
    raise InputError(f"strategy {strategy.name!r} {lacks}")


def spawn_seed(seed: int, *key: int) -> int:
    """A seed for a part of something that is seeded: parts with other keys draw independently of one another."""
    return int(np.random.SeedSequence(seed, spawn_key=key).generate_state(1)[0])


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
