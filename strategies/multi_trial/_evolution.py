"""Regularized evolution: a population in which the oldest dies.

Real et al., Regularized Evolution for Image Classifier Architecture Search, AAAI 2019.
"""

from __future__ import annotations

from searchspace import Genotype, InputError, SearchSpace
from strategies._base import STRATEGIES, MultiTrialStrategy

__all__ = ["RegularizedEvolution"]


@STRATEGIES.register("evolution")
class RegularizedEvolution(MultiTrialStrategy):
    """The winner of a tournament among the latest ``population`` trials mutates in one choice.

    Args:
        space: Any space.
        seed: Seeds everything.
        population: Trials that live; the first so many are drawn uniformly.
        tournament: How many of them compete.
    """

    name = "evolution"
    summary = "regularized (aging) evolution: tournament, one mutation, the oldest dies"
    paper = "Real et al., AAAI 2019"

    def __init__(self, space: SearchSpace, *, seed: int = 0, population: int = 100, tournament: int = 25) -> None:
        super().__init__(space, seed=seed)
        if not 1 <= tournament <= population:
            raise InputError(f"tournament must be in 1..population, got {tournament=}, {population=}")
        self._population, self._tournament = population, tournament

    def propose(self) -> Genotype:
        if len(self.asked) < self._population or not self.history:
            return self.space.sample(self.rng)
        alive = range(max(0, len(self.history) - self._population), len(self.history))
        drawn = self.rng.sample(alive, min(self._tournament, len(alive)))
        parent = max((self.history[index] for index in drawn), key=lambda told: told.score)
        return self.space.mutate(parent.trial.genotype, self.rng)
