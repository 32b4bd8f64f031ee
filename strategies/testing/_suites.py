"""The whole suite for each kind of strategy, on spaces that differ in what can go wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from searchspace import CPSpace, SearchSpace, ToySpace
from strategies._base import MultiTrialStrategy, OneShotStrategy
from strategies.testing._checks import (
    Start,
    check_charge,
    check_determinism,
    check_expected_rank,
    check_global_generators,
    check_optimum,
    check_report,
    check_resume,
    check_validity,
)
from strategies.testing._search import MultiTrialSearch, OneShotSearch

__all__ = ["check_multi_trial", "check_one_shot", "conformance_spaces"]


def conformance_spaces() -> tuple[SearchSpace, ...]:
    """A plain space, one with a constraint on its diagonal, and one whose choices have 1 to 5 options."""
    ragged = {"norm": ("batch", "group"), "width": ("1",), "act": ("a", "b", "c", "d", "e"), "skip": ("x", "y", "z")}
    return ToySpace(choices=3, options=3, seed=1), CPSpace(("semseg", "depth")), SearchSpace("ragged", ragged)


def check_one_shot(
    make: Callable[[SearchSpace, int], OneShotStrategy],
    *,
    steps: int = 8,
    optimum_steps: int = 60,
    finds_optimum: bool = True,
    random_draws: int | None = None,
) -> None:
    """Everything that a one-shot strategy promises.

    Args:
        make: Builds the strategy for a space and a seed, with knobs for a search as short as ``optimum_steps``.
        steps: Steps of the checks of mechanics.
        optimum_steps: Steps in which the optimum of a toy space of 4 choices with 3 options each is to be found.
        finds_optimum: False for a strategy that does not search.
        random_draws: Of a random baseline, how many genotypes it scores: its expected rank is checked instead.
    """

    def start(space: SearchSpace, seed: int, length: int) -> OneShotSearch:
        return OneShotSearch(make(space, seed), length, seed)

    for space in conformance_spaces():
        again = partial(start, space, 3, steps)
        _check_mechanics(again, steps)
        check_report(again, steps)

    def on_toy(seed: int) -> OneShotSearch:
        return start(_toy(seed), seed, optimum_steps)

    if random_draws is not None:
        check_expected_rank(on_toy, optimum_steps, random_draws)
    elif finds_optimum:
        check_optimum(on_toy, optimum_steps)
        check_charge(on_toy, optimum_steps)


def check_multi_trial(
    make: Callable[[SearchSpace, int], MultiTrialStrategy],
    *,
    trials: int = 8,
    optimum_trials: int = 400,
    optimum_choices: int = 4,
    finds_optimum: bool = True,
    random: bool = False,
) -> None:
    """Everything that a multi-trial strategy promises.

    Args:
        make: Builds the strategy for a space and a seed.
        trials: Trials of the checks of mechanics.
        optimum_trials: Trials in which the best genotype of a deceptive table is to be found.
        optimum_choices: Choices of that table, of 3 options each.
        finds_optimum: False for a strategy that does not search.
        random: Of a random baseline the expected rank is checked instead.
    """

    def start(space: SearchSpace, seed: int) -> MultiTrialSearch:
        return MultiTrialSearch(make(space, seed), seed)

    for space in conformance_spaces():
        _check_mechanics(partial(start, space, 3), trials)
    if random:
        check_expected_rank(lambda seed: start(_toy(seed), seed), 20, 20)
    elif finds_optimum:
        check_optimum(lambda seed: start(_toy(seed, optimum_choices), seed), optimum_trials)


def _check_mechanics(start: Start, steps: int) -> None:
    for attribute in ("name", "summary", "paper"):
        assert isinstance(getattr(start().strategy, attribute, None), str), f"the strategy has no {attribute}"
    check_validity(start, steps)
    check_determinism(start, steps)
    check_resume(start, steps, cuts=(0, 1, steps // 2, steps - 1))
    check_global_generators(start, steps)


def _toy(seed: int, choices: int = 4) -> ToySpace:
    return ToySpace(choices=choices, options=3, seed=seed)
