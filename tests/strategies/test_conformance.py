"""The conformance suite on every strategy in the tree, and on strategies that break one promise each."""

from __future__ import annotations

from typing import Any

import pytest

from searchspace import (
    Costs,
    SearchSpace,
    ToySpace,
)
from strategies import (
    STRATEGIES,
    Fixed,
    GumbelEntropy,
    MultiTrialStrategy,
    OneShotStrategy,
    build_strategy,
)
from strategies.adapters import OptunaNSGAII
from strategies.testing import (
    Problem,
    check_cost,
    check_determinism,
    check_global_generators,
    check_multi_trial,
    check_one_shot,
    check_optimum,
    check_resume,
    check_validity,
    supernet_problem,
    table_problem,
)

# Knobs for searches as short as these, and what the suite has to know.
SHORT = {"lr": 0.15}
ONE_SHOT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "gumbel_entropy": ({"lr": 0.1}, {}),
    "gumbel_entropy_bilevel": ({"lr": 0.1}, {}),
    "snas": (SHORT, {}),
    "darts": (SHORT, {}),
    "darts_second": (SHORT, {}),
    "gdas": (SHORT, {"optimum_steps": 100}),
    "drnas": (SHORT, {}),
    "fair_darts": ({"lr": 0.1, "zero_one": 1.0}, {}),
    "mtl_nas": (SHORT, {}),
    "dsnas": (SHORT, {"optimum_steps": 80}),
    "proxyless": (SHORT, {"optimum_steps": 100}),
    "enas": ({"lr": 0.005, "baseline_decay": 0.95, "hidden": 32, "temperature": 2.0}, {"optimum_steps": 200}),
    "spos": ({"final_trials": 200, "population": 20, "parents": 5}, {}),
    "random_ws": ({"final_trials": 20}, {"random_draws": 20}),
    "nni_darts": (SHORT, {}),
    "nni_gumbel_darts": (SHORT, {}),
    "nni_proxyless": (SHORT, {}),
    "nni_random_one_shot": ({"final_trials": 20}, {"random_draws": 20}),
}
MULTI_TRIAL: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "random": ({}, {"random": True}),
    "grid": ({}, {"optimum_trials": 81}),
    "local_search": ({}, {}),
    "evolution": ({"population": 50, "tournament": 10}, {}),
    "genetic": ({}, {"optimum_trials": 200}),
    "reinforce": ({}, {}),
    "asha": ({}, {}),
    "successive_halving": ({}, {}),
    "hyperband": ({}, {}),
    "bananas": ({}, {"optimum_trials": 60}),
    "optuna_tpe": ({}, {"optimum_trials": 200}),
    "optuna_gp": ({}, {"optimum_trials": 40, "optimum_choices": 3, "trials": 8}),
    "optuna_nsga2": ({"population_size": 20}, {"optimum_trials": 300}),
    "optuna_brute_force": ({}, {"optimum_trials": 81}),
    "optuna_qmc": ({}, {"optimum_trials": 300}),
    "optuna_random": ({}, {"random": True}),
    "nni_tpe": ({}, {"optimum_trials": 200}),
    "nni_evolution": ({}, {"optimum_trials": 200}),
    "nni_random": ({}, {"random": True}),
    "nni_grid": ({}, {"optimum_trials": 81}),
    "nni_regularized_evolution": ({"population": 20, "tournament": 5}, {"optimum_trials": 80}),
}


# Their search for the optimum takes seconds a problem. Here they search fewer ones; `make test-slow` has all ten.
HEAVY: dict[str, dict[str, Any]] = {
    "enas": {"seeds": 2},
    "nni_darts": {"seeds": 2},
    "nni_gumbel_darts": {"seeds": 2},
    "nni_proxyless": {"seeds": 2},
    "nni_evolution": {"seeds": 2},
    "nni_regularized_evolution": {"seeds": 2},
    "bananas": {"seeds": 2},
    "nni_tpe": {"seeds": 2},
    "optuna_brute_force": {"seeds": 1},
    "optuna_tpe": {"seeds": 1},
    "optuna_gp": {"seeds": 1},
    "optuna_nsga2": {"seeds": 1},
    "optuna_qmc": {"seeds": 1},
}


def one_shot(name: str, **suite: Any) -> None:
    knobs, own = ONE_SHOT[name]

    def make(space: SearchSpace, seed: int) -> OneShotStrategy:
        strategy = build_strategy(name, space, seed=seed, knobs=knobs)
        assert isinstance(strategy, OneShotStrategy)
        return strategy

    check_one_shot(make, **own, **suite)


def multi_trial(name: str, **suite: Any) -> None:
    knobs, own = MULTI_TRIAL[name]

    def make(space: SearchSpace, seed: int) -> MultiTrialStrategy:
        strategy = build_strategy(name, space, seed=seed, knobs=knobs)
        assert isinstance(strategy, MultiTrialStrategy)
        return strategy

    check_multi_trial(make, **own, **suite)


def test_the_suite_covers_the_registry() -> None:
    one_shot = {name for name, entry in STRATEGIES.items() if issubclass(entry, OneShotStrategy)}
    assert one_shot - {"fixed"} == set(ONE_SHOT)
    assert set(STRATEGIES) - one_shot == set(MULTI_TRIAL)


@pytest.mark.parametrize("name", ONE_SHOT)
def test_one_shot(name: str) -> None:
    one_shot(name, **HEAVY.get(name, {}))


@pytest.mark.parametrize("name", MULTI_TRIAL)
def test_multi_trial(name: str) -> None:
    multi_trial(name, **HEAVY.get(name, {}))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(HEAVY) & set(ONE_SHOT)))
def test_a_heavy_one_shot_strategy_finds_the_optimum(name: str) -> None:
    one_shot(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(HEAVY) & set(MULTI_TRIAL)))
def test_a_heavy_multi_trial_strategy_finds_the_optimum(name: str) -> None:
    multi_trial(name)


@pytest.mark.parametrize("knobs", [{"freeze": "entropy", "freeze_threshold": 0.9}, {"freeze": None}])
def test_gumbel_entropy_with_other_freeze_rules(knobs: dict[str, Any]) -> None:
    def start(seed: int) -> Problem:
        return supernet_problem(GumbelEntropy(ToySpace(3, 3, seed=seed), seed=seed, lr=0.15, **knobs), 40, seed)

    check_optimum(start)
    check_one_shot(lambda space, seed: GumbelEntropy(space, seed=seed, lr=0.1, **knobs), steps=4, finds_optimum=False)


def test_fixed() -> None:
    check_one_shot(lambda space, seed: Fixed(space, genotype=next(space.enumerate())), finds_optimum=False)


def test_strategies_that_refuse_costs_are_these() -> None:
    """A refusal passes the suite, so that one that is not meant would too."""
    space = ToySpace(2, 2)
    made = {name: build_strategy(name, space, seed=0, knobs=knobs) for name, (knobs, _) in ONE_SHOT.items()}
    refusing = {name for name, strategy in made.items() if not strategy.supports(space, ("score", "cost"))}
    assert refusing == {"nni_darts", "nni_gumbel_darts", "nni_proxyless"}


def test_a_search_of_the_pareto_front_keeps_the_promises() -> None:
    """Cost is an objective of its own: the suite, which has none but in `check_cost`, cannot build the search."""
    space = ToySpace(choices=4, options=3, seed=3)
    costs = Costs({choice: {o: float(o == "o0") for o in options} for choice, options in space.items()})

    def make() -> OptunaNSGAII:
        return OptunaNSGAII(space, seed=3, pareto=True, population_size=4)

    def start() -> Problem:
        return table_problem(make(), 12, costs=costs, cost_weight=1.0)

    check_cost(make)
    check_validity(start, 24)
    check_determinism(start, 24)
    check_resume(start, 24, cuts=(1, 12, 23))
    check_global_generators(start, 24)
