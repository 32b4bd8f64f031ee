"""Local search: climb to a local optimum, then start anew.

White et al., Local Search is State of the Art for Neural Architecture Search Benchmarks, 2020.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from searchspace import Genotype, SearchSpace
from strategies._base import STRATEGIES
from strategies._knobs import flag
from strategies.multi_trial._base import MultiTrialStrategy, Trial

__all__ = ["LocalSearch"]


@STRATEGIES.register("local_search")
class LocalSearch(MultiTrialStrategy):
    """Scores the neighbours of a genotype in random order and moves to the first better one.

    If no neighbour is better, the genotype is a local optimum, and the climb starts anew from a random genotype. A
    failed neighbour is no better; a failed start is followed by another start. Neighbours differ in one choice. If
    constraints leave no such neighbour, they differ in the fewest choices possible (see `SearchSpace.nearest`).

    Args:
        space: Any space.
        seed: Seeds starts and orders.
        first: Whether to move to the first better neighbour; otherwise to the best of all neighbours.
    """

    name = "local_search"
    summary = "hill climbing over single changes, restarted at local optima"
    paper = "White et al., AutoML workshop at ICML 2020"

    def __init__(self, space: SearchSpace, *, seed: int = 0, first: bool = True) -> None:
        super().__init__(space, seed=seed)
        self._first = flag("first", first)
        self._centre: tuple[Genotype, float] | None = None
        self._better: tuple[Genotype, float] | None = None
        self._queue: list[Genotype] = []

    def propose(self) -> Genotype:
        if not self._queue and self._better is not None:
            self._climb(self._better)
        if not self._queue:
            self._centre = None
            return self.space.sample(self.rng)
        return self._queue.pop()

    def tell(self, trial: Trial, score: float, cost: float = 0.0) -> None:
        super().tell(trial, score, cost)
        if not math.isfinite(score):
            return
        told = trial.genotype, score
        if self._centre is None:
            self._climb(told)
        elif score > max(self._centre[1], -math.inf if self._better is None else self._better[1]):
            self._better = told
            if self._first:
                self._climb(told)

    def _climb(self, centre: tuple[Genotype, float]) -> None:
        self._centre, self._better = centre, None
        self._queue = self.space.nearest(centre[0])
        self.rng.shuffle(self._queue)

    def state_dict(self) -> dict[str, Any]:
        encode = self.space.encode
        centre, better = (
            None if told is None else [list(encode(told[0])), told[1]] for told in (self._centre, self._better)
        )
        queue = [list(encode(genotype)) for genotype in self._queue]
        return {**super().state_dict(), "centre": centre, "best": better, "queue": queue}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        decode = self.space.decode
        self._centre, self._better = (
            None if told is None else (decode(told[0]), told[1]) for told in (state["centre"], state["best"])
        )
        self._queue = [decode(indices) for indices in state["queue"]]
