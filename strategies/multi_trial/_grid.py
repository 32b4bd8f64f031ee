"""Grid search: every genotype once."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from searchspace import Genotype, SearchSpace
from strategies._base import STRATEGIES
from strategies.multi_trial._base import MultiTrialStrategy

__all__ = ["GridSearch"]

SHUFFLED = 100_000
"""Largest space, in combinations of options, whose order is shuffled."""


@STRATEGIES.register("grid")
class GridSearch(MultiTrialStrategy):
    """Proposes every genotype once, in an order drawn by the seed; a very large space keeps its own order.

    Args:
        space: Any space.
        seed: Seeds the order.
    """

    name = "grid"
    summary = "every genotype once"
    paper = "exhaustive enumeration"

    def __init__(self, space: SearchSpace, *, seed: int = 0) -> None:
        super().__init__(space, seed=seed)
        self._order, self._given = self._from_the_start(), 0

    def _from_the_start(self) -> Iterator[Genotype]:
        if self.space.size > SHUFFLED:
            return self.space.enumerate()
        order = list(self.space.enumerate())
        random.Random(self.seed).shuffle(order)
        return iter(order)

    def propose(self) -> Genotype | None:
        for genotype in islice(self._order, len(self.asked) - self._given, None):  # skips loaded trials
            self._given = len(self.asked) + 1
            return genotype
        self._given = len(self.asked)
        return None

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self._order, self._given = self._from_the_start(), 0
