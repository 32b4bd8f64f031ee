"""A genetic algorithm: generations bred from the best by crossover and mutation.

As in the second stage of Guo et al., Single Path One-Shot Neural Architecture Search, ECCV 2020 (algorithm 1).
"""

from __future__ import annotations

from searchspace import Genotype, SearchSpace
from strategies._base import STRATEGIES
from strategies._knobs import number, whole
from strategies.multi_trial._base import MultiTrialStrategy

__all__ = ["GeneticAlgorithm"]

ATTEMPTS = 20
"""Number of genotypes that are bred to find a new one, before a known one is tried again."""

BRED = 1000
"""Number of children in a row that may break a constraint, before a genotype is drawn uniformly instead."""


@STRATEGIES.register("genetic")
class GeneticAlgorithm(MultiTrialStrategy):
    """Breeds generations from the best trials, half by crossover and half by mutation; draws the first one uniformly.

    A failed trial is never a parent. A child that breaks a constraint of the space is bred again; after 1000 such
    children in a row a genotype is drawn uniformly.

    Args:
        space: Any space.
        seed: Seeds everything.
        population: Size of a generation.
        parents: Number of best trials, of all generations, that are used as parents.
        mutation: Probability that a choice of a mutant is drawn anew, in (0, 1].
    """

    name = "genetic"
    summary = "generations bred from the best by crossover and mutation"
    paper = "Guo et al., ECCV 2020, algorithm 1"

    def __init__(
        self, space: SearchSpace, *, seed: int = 0, population: int = 50, parents: int = 10, mutation: float = 0.1
    ) -> None:
        super().__init__(space, seed=seed)
        self._population = whole("population", population)
        self._parents = whole("parents", parents, at_most=self._population)
        self._mutation = number("mutation", mutation, above=0, at_most=1)

    def propose(self) -> Genotype:
        known = {trial.genotype for trial in self.asked}
        for _ in range(ATTEMPTS):
            genotype = self._draw()
            if genotype not in known:
                break
        return genotype

    def _draw(self) -> Genotype:
        generation, place = divmod(len(self.asked), self._population)
        scored = [told for told in self.history if not told.failed]
        if generation == 0 or not scored:
            return self.space.sample(self.rng)
        # Parents are those of the finished generations, so that a generation does not depend on the order of scores.
        finished = [told for told in scored if told.trial.number < generation * self._population]
        best = sorted(finished or scored, key=lambda told: -told.score)[: self._parents]
        one, other = (self.rng.choice(best).trial.genotype for _ in range(2))
        for _ in range(BRED):
            if place < self._population // 2:
                choices = {choice: self.rng.choice((one[choice], other[choice])) for choice in self.space}
            else:
                redrawn = (choice for choice in self.space if self.rng.random() < self._mutation)
                choices = {**one, **{choice: self.rng.choice(self.space[choice]) for choice in redrawn}}
            if self.space.violation(choices) is None:
                return self.space.genotype(choices)
        return self.space.sample(self.rng)
