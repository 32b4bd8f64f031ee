"""Regularized evolution: a population in which the oldest dies.

Real et al., Regularized Evolution for Image Classifier Architecture Search, AAAI 2019.
"""

from __future__ import annotations

from itertools import islice

from searchspace import Genotype, SearchSpace
from strategies._base import STRATEGIES
from strategies._knobs import whole
from strategies.multi_trial._base import MultiTrialStrategy
from strategies.multi_trial._mutant import mutant

__all__ = ["RegularizedEvolution"]


@STRATEGIES.register("evolution")
class RegularizedEvolution(MultiTrialStrategy):
    """Mutates the winner of a tournament among the latest ``population`` trials in one choice.

    A failed trial never joins the population.

    Args:
        space: Any space.
        seed: Seeds everything.
        population: Population size, and the number of trials that are drawn uniformly first.
        tournament: Number of members of the population that compete, at most all.
    """

    name = "evolution"
    summary = "regularized (aging) evolution: tournament, one mutation, the oldest dies"
    paper = "Real et al., AAAI 2019"

    def __init__(self, space: SearchSpace, *, seed: int = 0, population: int = 100, tournament: int = 25) -> None:
        super().__init__(space, seed=seed)
        self._population = whole("population", population)
        self._tournament = whole("tournament", tournament, at_most=self._population)

    def propose(self) -> Genotype:
        alive = list(islice((told for told in reversed(self.history) if not told.failed), self._population))[::-1]
        if len(self.asked) < self._population or not alive:
            return self.space.sample(self.rng)
        drawn = self.rng.sample(alive, min(self._tournament, len(alive)))
        parent = max(drawn, key=lambda told: told.score)
        return mutant(self.space, parent.trial.genotype, self.rng)
