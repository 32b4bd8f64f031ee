"""What strategies over training budgets share: rungs of budgets, each ``eta`` times the one below."""

from __future__ import annotations

import math
from abc import abstractmethod

from searchspace import Genotype, InputError, SearchSpace
from strategies._base import MultiTrialStrategy, Scored, Trial

__all__ = ["MultiFidelity"]


class MultiFidelity(MultiTrialStrategy):
    """A strategy that scores many genotypes with little training, and the best of them with more.

    A genotype that is promoted is trained anew: what it cost before counts as well.

    Args:
        space: Any space.
        seed: Seeds the draws.
        eta: One in ``eta`` is promoted, to ``eta`` times the budget.
        min_budget: Smallest budget, as a fraction of a full training.

    Attributes:
        budgets: Of the rungs, ascending; the last one is 1.
    """

    def __init__(self, space: SearchSpace, *, seed: int = 0, eta: int = 3, min_budget: float = 1 / 9) -> None:
        super().__init__(space, seed=seed)
        if eta < 2 or not 0 < min_budget < 1:
            raise InputError(f"eta must be >= 2 and min_budget in (0, 1), got {eta=}, {min_budget=}")
        self.eta = eta
        rungs = math.floor(math.log(1 / min_budget) / math.log(eta) + 1e-9)
        self.budgets = [float(eta) ** (rung - rungs) for rung in range(rungs + 1)]

    @abstractmethod
    def ask(self) -> Trial | None: ...

    def propose(self) -> Genotype:
        return self.space.sample(self.rng)


def best(told: list[Scored], number: int) -> list[Genotype]:
    """Genotypes of the ``number`` best scores, the best first; of equal ones the earlier."""
    return [one.trial.genotype for one in sorted(told, key=lambda one: (-one.score, one.trial.number))[:number]]
