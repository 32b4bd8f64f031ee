"""Strategies by trials on toys, for the tests that share them."""

from __future__ import annotations

from typing import Any

from searchspace import Genotype, SearchSpace, ToySpace
from strategies import (
    MultiTrialStrategy,
    Trial,
    build_strategy,
)

SPACE = ToySpace(choices=4, options=3, seed=2)


LARGE = ToySpace(choices=12, options=4, seed=2)
"""So large that nothing is drawn twice."""


def trials(strategy: MultiTrialStrategy, number: int) -> list[Trial]:
    """Asks and tells, one after the other; the score is minus the planted cost."""
    found = []
    for _ in range(number):
        trial = strategy.ask()
        assert trial is not None
        assert isinstance(strategy.space, ToySpace)
        strategy.tell(trial, strategy.space.score(trial.genotype))
        found.append(trial)
    return found


def is_crossover(child: Genotype, one: Genotype, other: Genotype) -> bool:
    return all(option in (one[choice], other[choice]) for choice, option in child.items())


OURS = ["random", "grid", "local_search", "evolution", "genetic", "reinforce", "asha", "successive_halving"]


OURS += ["hyperband", "bananas"]


NNIS = ["nni_tpe", "nni_evolution", "nni_random", "nni_grid", "nni_regularized_evolution"]


SHORT: dict[str, dict[str, Any]] = {
    "evolution": {"population": 6, "tournament": 3},
    "genetic": {"population": 6, "parents": 3},
    "bananas": {"initial": 4, "refit_every": 3, "ensemble": 2, "candidates": 10},
    "nni_tpe": {"tpe_args": {"n_startup_jobs": 4}},
    "nni_evolution": {"population": 5},
    "nni_regularized_evolution": {"population": 6, "tournament": 3},
}


def make(name: str, space: SearchSpace = SPACE) -> MultiTrialStrategy:
    strategy = build_strategy(name, space, seed=2, knobs=SHORT.get(name, {}))
    assert isinstance(strategy, MultiTrialStrategy)
    return strategy
