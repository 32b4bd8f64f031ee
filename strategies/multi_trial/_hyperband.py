"""Successive halving and Hyperband: brackets of trials, in which the best trials get more budget.

Jamieson and Talwalkar, AISTATS 2016; Li et al., Hyperband, JMLR 2018.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from searchspace import SearchSpace
from strategies._base import STRATEGIES
from strategies._knobs import whole
from strategies.multi_trial._base import Trial
from strategies.multi_trial._fidelity import MultiFidelity, best

__all__ = ["Hyperband", "SuccessiveHalving"]


class _Rung(NamedTuple):
    """A rung of a bracket.

    Attributes:
        start: Number of its first trial.
        size: Number of its trials.
        budget: Budget of each trial.
        below: The rung whose best trials are promoted to it; None for the first rung of a bracket.
    """

    start: int
    size: int
    budget: float
    below: _Rung | None


@STRATEGIES.register("hyperband")
class Hyperband(MultiFidelity):
    """Runs brackets of successive halving, from many trials of little budget to few of full budget, over and over.

    A rung is complete when all its trials are told; a failure counts as told, and is not promoted. If fewer trials
    of a rung have a score than the next one takes, those are promoted more than once, the best first. If none has a
    score, the next rung is filled with fresh draws.

    Args: see `MultiFidelity`.
    """

    name = "hyperband"
    summary = "brackets of successive halving, from many short trainings to few full ones"
    paper = "Li et al., JMLR 2018"

    def brackets(self) -> Sequence[tuple[int, int]]:
        """Returns (number of trials at the start, index of the lowest budget) of every bracket, in order."""
        most = len(self.budgets) - 1
        return [
            (math.ceil((most + 1) * self.eta**halvings / (halvings + 1)), most - halvings)
            for halvings in range(most, -1, -1)
        ]

    def _rungs(self) -> Iterator[_Rung]:
        start = 0
        while True:
            for size, lowest in self.brackets():
                below = None
                for rung, budget in enumerate(self.budgets[lowest:]):
                    below = _Rung(start, max(1, size // self.eta**rung), budget, below)
                    yield below
                    start += below.size

    def ask(self) -> Trial | None:
        number = len(self.asked)
        rung = next(rung for rung in self._rungs() if number < rung.start + rung.size)
        if rung.below is None:
            return self._new_trial(self.propose(), rung.budget)
        low = rung.below
        told = [one for one in self.history if low.start <= one.trial.number < low.start + low.size]
        if len(told) < low.size:
            return None  # the rung below is not told in full yet
        promoted = best(told, rung.size)
        place = number - rung.start
        return self._new_trial(promoted[place % len(promoted)] if promoted else self.propose(), rung.budget)


@STRATEGIES.register("successive_halving")
class SuccessiveHalving(Hyperband):
    """Runs the bracket with most halvings alone, over and over.

    Args:
        space: Any space.
        seed: Seeds the draws.
        eta: Factor between rungs, at least 2: one trial in ``eta`` is promoted, to ``eta`` times the budget.
        min_budget: Smallest budget, as a fraction of a full training, in (0, 1).
        start: Number of trials that a bracket starts with, at least 1; None for the number that leaves one trial at
            full budget. If it is smaller than that, the last rungs have one trial each.
    """

    name = "successive_halving"
    summary = "the best 1 / eta of a rung get eta times the training budget"
    paper = "Jamieson and Talwalkar, AISTATS 2016"

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        eta: int = 3,
        min_budget: float = 1 / 9,
        start: int | None = None,
    ) -> None:
        super().__init__(space, seed=seed, eta=eta, min_budget=min_budget)
        self._start = self.eta ** (len(self.budgets) - 1) if start is None else whole("start", start)

    def brackets(self) -> Sequence[tuple[int, int]]:
        return [(self._start, 0)]
