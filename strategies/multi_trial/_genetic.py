"""A genetic algorithm: generations bred from the best by crossover and mutation.

As in the second stage of Guo et al., Single Path One-Shot Neural Architecture Search, ECCV 2020 (algorithm 1).
"""

from __future__ import annotations

from searchspace import Genotype, InputError, SearchSpace
from strategies._base import STRATEGIES, MultiTrialStrategy

__all__ = ["GeneticAlgorithm"]

ATTEMPTS = 20
"""So often a genotype that was tried before is drawn again; after that it is tried twice."""


@STRATEGIES.register("genetic")
class GeneticAlgorithm(MultiTrialStrategy):
    """The first generation is drawn uniformly; half of every later one are crossovers, half mutants, of the best.

    Args:
        space: Any space.
        seed: Seeds everything.
        population: Size of a generation.
        parents: The best so many of all trials breed.
        mutation: Probability that a choice of a mutant is drawn anew.
    """

    name = "genetic"
    summary = "generations bred from the best by crossover and mutation"
    paper = "Guo et al., ECCV 2020, algorithm 1"

    def __init__(
        self, space: SearchSpace, *, seed: int = 0, population: int = 50, parents: int = 10, mutation: float = 0.1
    ) -> None:
        super().__init__(space, seed=seed)
        if not 1 <= parents <= population:
            raise InputError(f"parents must be in 1..population, got {parents=}, {population=}")
        if not 0 < mutation <= 1:
            raise InputError(f"mutation must be in (0, 1], got {mutation}")
        self._population, self._parents, self._mutation = population, parents, mutation

    def propose(self) -> Genotype:
        known = {trial.genotype for trial in self.asked}
        for _ in range(ATTEMPTS):
            genotype = self._draw()
            if genotype not in known:
                break
        return genotype

    def _draw(self) -> Genotype:
        generation, place = divmod(len(self.asked), self._population)
        if generation == 0 or not self.history:
            return self.space.sample(self.rng)
        # Parents are those of the finished generations, so that a generation does not depend on the order of scores.
        finished = [told for told in self.history if told.trial.number < generation * self._population]
        best = sorted(finished or self.history, key=lambda told: -told.score)[: self._parents]
        one, other = (self.rng.choice(best).trial.genotype for _ in range(2))
        while True:
            if place < self._population // 2:
                choices = {choice: self.rng.choice((one[choice], other[choice])) for choice in self.space}
            else:
                redrawn = (choice for choice in self.space if self.rng.random() < self._mutation)
                choices = {**one, **{choice: self.rng.choice(self.space[choice]) for choice in redrawn}}
            if self.space.violation(choices) is None:
                return self.space.genotype(choices)
