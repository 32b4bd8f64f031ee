"""The interface of multi-trial strategies: they are asked for genotypes and told their scores. Needs no torch."""

from __future__ import annotations

import math
import random
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from searchspace import Genotype, InputError, SearchSpace
from strategies._base import NothingNamed, Strategy, rng_state, set_rng_state

__all__ = ["MultiTrialStrategy", "Scored", "Trial"]


@dataclass(frozen=True)
class Trial:
    """A genotype that a multi-trial strategy wants scored.

    Attributes:
        number: Number of the trial; a strategy counts its trials from 0.
        genotype: The genotype to score.
        budget: Training that the score should rest on, as a fraction of a full training, in (0, 1].
    """

    number: int
    genotype: Genotype
    budget: float = 1.0


@dataclass(frozen=True)
class Scored:
    """A trial with its outcome.

    Attributes:
        trial: The trial that was scored.
        score: The score; higher is better. Minus infinity if the trial failed.
        cost: The cost; lower is better. 0 if no cost counts.
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
        """Sort key of outcomes: first the trial's budget, then the score."""
        return self.trial.budget, self.score


class MultiTrialStrategy(Strategy):
    """A strategy that proposes genotypes and learns from their scores. Higher scores are better.

    Most are a policy over (space, history, own generator) and define `propose` alone. Several trials may be asked for
    before the first is told.

    Attributes:
        rng: The strategy's own generator.
        asked: Every trial that was asked for.
        history: Every outcome in the order of telling, failures included.
        multi_objective: Whether cost is a second objective. Otherwise the driver subtracts the penalty of cost from
            the score before it calls `tell`.
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
        """Returns the next genotype; None if nothing is left to propose, or if another score must come first."""

    def ask(self) -> Trial | None:
        """Returns the next trial; None if nothing is left to try, or if another score must come first."""
        genotype = self.propose()
        return None if genotype is None else self._new_trial(genotype)

    def tell(self, trial: Trial, score: float, cost: float = 0.0) -> None:
        """Records the outcome of a trial that was asked for. A score that is not finite counts as a failure.

        A subclass that learns from scores ignores those that are not finite.

        Raises:
            InputError: The trial was not asked for, or was told before.
        """
        self._record(Scored(trial, score if math.isfinite(score) else -math.inf, cost))

    def fail(self, trial: Trial) -> None:
        """Records that a trial that was asked for has no score: it diverged, or was given up.

        Raises:
            InputError: The trial was not asked for, or was told before.
        """
        self._record(Scored(trial, -math.inf))

    def genotype(self) -> Genotype:
        """Returns the genotype of the best score among the trials of the largest budget with a score.

        Raises:
            NothingNamed: No trial has a finite score.
        """
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
