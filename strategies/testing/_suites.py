"""The whole suite for each kind of strategy, on spaces that bring out different mistakes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from searchspace import SearchSpace, ToySpace, build_space
from strategies.multi_trial import MultiTrialStrategy
from strategies.one_shot import OneShotStrategy
from strategies.testing._checks import (
    Start,
    check_determinism,
    check_global_generators,
    check_ledger,
    check_report,
    check_resume,
    check_second_stage,
    check_validity,
)
from strategies.testing._outcomes import (
    check_charge,
    check_constraints,
    check_cost,
    check_expected_rank,
    check_failures,
    check_in_flight,
    check_optimum,
)
from strategies.testing._problems import Problem, SparseSpace, supernet_problem, table_problem

__all__ = ["check_multi_trial", "check_one_shot", "conformance_spaces"]


def conformance_spaces() -> tuple[SearchSpace, ...]:
    """Returns four spaces that bring out different mistakes.

    They are a plain one, one with different options for each choice, one with 1 to 5 options for a choice, and one
    with a constraint between choices.
    """
    ragged = {"norm": ("batch", "group"), "width": ("1",), "act": ("a", "b", "c", "d", "e"), "skip": ("x", "y", "z")}
    return (
        ToySpace(choices=3, options=3, seed=1),
        build_space("cp", tasks=["semseg", "depth"]),
        SearchSpace("ragged", ragged),
        SparseSpace(),
    )


def check_one_shot(
    make: Callable[[SearchSpace, int], OneShotStrategy],
    *,
    steps: int = 8,
    optimum_steps: int = 60,
    finds_optimum: bool = True,
    random_draws: int | None = None,
    seeds: int = 10,
) -> None:
    """Checks everything that a one-shot strategy promises.

    Args:
        make: Builds the strategy for a space and a seed, with knobs for a search as short as ``optimum_steps``.
        steps: Number of steps in the checks of mechanics.
        optimum_steps: Number of steps within which the optimum of a toy space of 4 choices with 3 options each must
            be found.
        finds_optimum: False for a strategy that does not search.
        random_draws: Number of genotypes that a random baseline scores: its expected rank is checked instead of the
            optimum. None for other strategies.
        seeds: Number of toy spaces that are searched for their optimum.
    """

    def start(space: SearchSpace, seed: int, length: int) -> Problem:
        return supernet_problem(make(space, seed), length, seed)

    for space in conformance_spaces():
        if not make(space, 3).supports(space):
            continue  # that it is refused is checked below
        again = partial(start, space, 3, steps)
        _check_mechanics(again, steps + 2)
        check_report(again, steps)
        check_ledger(again, steps)
    check_constraints(lambda space: start(space, 3, steps), lambda space: make(space, 3))
    check_second_stage(lambda: make(_toy(3), 3), steps)

    def on_toy(seed: int) -> Problem:
        return start(_toy(seed), seed, optimum_steps)

    if random_draws is not None:
        check_expected_rank(on_toy, random_draws)
    elif finds_optimum:
        check_optimum(on_toy, seeds)
        check_charge(lambda seed: make(_toy(seed), seed), optimum_steps, min(seeds, 3))


def check_multi_trial(
    make: Callable[[SearchSpace, int], MultiTrialStrategy],
    *,
    trials: int = 8,
    optimum_trials: int = 400,
    optimum_choices: int = 4,
    finds_optimum: bool = True,
    random: bool = False,
    seeds: int = 10,
) -> None:
    """Checks everything that a multi-trial strategy promises.

    Args:
        make: Builds the strategy for a space and a seed.
        trials: Number of trials in the checks of mechanics.
        optimum_trials: Number of trials within which the best genotype of a deceptive table must be found.
        optimum_choices: Number of choices of that table, of 3 options each.
        finds_optimum: False for a strategy that does not search.
        random: True for a random baseline, whose expected rank is checked instead of the optimum.
        seeds: Number of tables that are searched for their optimum.
    """

    def start(space: SearchSpace, seed: int, length: int = trials) -> Problem:
        return table_problem(make(space, seed), length, seed)

    for space in conformance_spaces():
        if make(space, 3).supports(space):  # that it is refused elsewhere is checked below
            _check_mechanics(partial(start, space, 3), 2 * trials)
    check_constraints(lambda space: start(space, 3), lambda space: make(space, 3))
    check_failures(lambda: make(_toy(3), 3), 3 * trials)
    check_in_flight(lambda: make(_toy(3), 3), trials)
    check_cost(lambda: make(_toy(3), 3), trials)
    if random:
        check_expected_rank(lambda seed: start(_toy(seed), seed, 20), 20)
    elif finds_optimum:
        check_optimum(lambda seed: start(_toy(seed, optimum_choices), seed, optimum_trials), seeds)


def _check_mechanics(start: Start, events: int) -> None:
    for attribute in ("name", "summary", "paper"):
        assert isinstance(getattr(start().search.strategy, attribute, None), str), f"the strategy has no {attribute}"
    check_validity(start, events)
    check_determinism(start, events)
    check_resume(start, events, cuts=(0, 1, events // 2, events - 1))
    check_global_generators(start, events)


def _toy(seed: int, choices: int = 4) -> ToySpace:
    return ToySpace(choices=choices, options=3, seed=seed)
