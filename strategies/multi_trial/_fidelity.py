"""Base class of strategies over training budgets: rungs of budgets, each ``eta`` times the one below."""

from __future__ import annotations

import math
from abc import abstractmethod

from searchspace import Genotype, SearchSpace
from strategies._knobs import number, whole
from strategies.multi_trial._base import MultiTrialStrategy, Scored, Trial

__all__ = ["MultiFidelity"]


class MultiFidelity(MultiTrialStrategy):
    """A strategy that scores many genotypes with little training, and the best of them with more.

    A genotype that is promoted is trained anew; its earlier, shorter training counts as well.

    Args:
        space: Any space.
        seed: Seeds the draws.
        eta: Factor between rungs, at least 2: one trial in ``eta`` is promoted, to ``eta`` times the budget.
        min_budget: Smallest budget, as a fraction of a full training, in (0, 1).

    Attributes:
        budgets: Budgets of the rungs, ascending; the last one is 1.
    """

    def __init__(self, space: SearchSpace, *, seed: int = 0, eta: int = 3, min_budget: float = 1 / 9) -> None:
        super().__init__(space, seed=seed)
        self.eta = eta = whole("eta", eta, at_least=2)
        least = number("min_budget", min_budget, above=0, below=1)
        rungs = math.floor(math.log(1 / least) / math.log(eta) + 1e-9)
        self.budgets = [float(eta) ** (rung - rungs) for rung in range(rungs + 1)]

    @abstractmethod
    def ask(self) -> Trial | None: ...

    def propose(self) -> Genotype:
        return self.space.sample(self.rng)


def best(told: list[Scored], most: int) -> list[Genotype]:
    """Returns at most ``most`` genotypes, the best scores first. Earlier trials win ties; failures are left out."""
    scored = [one for one in told if not one.failed]
    return [one.trial.genotype for one in sorted(scored, key=lambda one: (-one.score, one.trial.number))[:most]]
