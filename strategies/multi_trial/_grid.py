"""Grid search: every genotype once."""

from __future__ import annotations

from itertools import islice

from searchspace import Genotype, SearchSpace
from strategies._base import STRATEGIES, MultiTrialStrategy

__all__ = ["GridSearch"]

SHUFFLED = 100_000
"""Spaces of up to so many genotypes are shuffled."""


@STRATEGIES.register("grid")
class GridSearch(MultiTrialStrategy):
    """Every genotype once, in an order drawn by the seed; spaces too large for that in the space's order.

    Args:
        space: Any space.
        seed: Seeds the order.
    """

    name = "grid"
    summary = "every genotype once"
    paper = "exhaustive enumeration"

    def __init__(self, space: SearchSpace, *, seed: int = 0) -> None:
        super().__init__(space, seed=seed)
        self._order = space.enumerate()
        if space.size <= SHUFFLED:
            order = list(self._order)
            self.rng.shuffle(order)
            self._order = iter(order)
        self._given = 0

    def propose(self) -> Genotype | None:
        for genotype in islice(self._order, len(self.asked) - self._given, None):  # skips what loading brought back
            self._given = len(self.asked) + 1
            return genotype
        self._given = len(self.asked)
        return None
