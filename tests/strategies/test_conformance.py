"""The conformance suite on every strategy in the tree, and on strategies that break one promise each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch

from searchspace import (
    Genotype,
    SearchSpace,
    Selection,
    ToySpace,
    Weighted,
)
from strategies import (
    STRATEGIES,
    Fixed,
    GumbelEntropy,
    MultiTrialStrategy,
    OneShotStrategy,
    RandomSearch,
    build_strategy,
)
from strategies.testing import (
    Problem,
    check_multi_trial,
    check_one_shot,
    check_optimum,
    supernet_problem,
)

# Knobs for searches as short as these, and what the suite has to know.
SHORT = {"lr": 0.15}
ONE_SHOT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "gumbel_entropy": ({"lr": 0.1}, {}),
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


# -- strategies that break a promise --------------------------------------------------------------------------------


class ForgetsItsGenerator(GumbelEntropy):
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict({**state, "generator": self._generator.get_state()})


class ForgetsItsOptimiser(GumbelEntropy):
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict({**state, "optimizer": self.optimizer.state_dict()})


class GivesItsLiveState(GumbelEntropy):
    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "optimizer": self.optimizer.state_dict()}


class LearnsFromTheLoadedState(GumbelEntropy):
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.optimizer.load_state_dict(state["optimizer"])  # shares its moments


class DrawsGlobally(GumbelEntropy):
    def select(self) -> Selection:
        torch.rand(())
        return super().select()


class SeedsGlobally(GumbelEntropy):
    def __init__(self, space: SearchSpace, *, seed: int, lr: float) -> None:
        super().__init__(space, seed=seed, lr=lr)
        np.random.seed(seed)  # noqa: NPY002, what the suite is to catch


class DependsOnTheCall(GumbelEntropy):
    made = 0

    def __init__(self, space: SearchSpace, *, seed: int, lr: float) -> None:
        DependsOnTheCall.made += 1
        super().__init__(space, seed=seed + DependsOnTheCall.made, lr=lr)


class ReportDraws(GumbelEntropy):
    def report(self) -> dict[str, Any]:
        self.select()
        return super().report()


class ReportsTensors(GumbelEntropy):
    def report(self) -> dict[str, Any]:
        return {**super().report(), "temperature": torch.tensor(self.temperature)}


class ReportsLogits(GumbelEntropy):
    def report(self) -> dict[str, Any]:
        rows = self.distribution.logits.detach().exp().tolist()
        table = {c: dict(zip(o, row, strict=False)) for (c, o), row in zip(self.space.items(), rows, strict=True)}
        return {**super().report(), "probabilities": table}


class OffersTheWidest(GumbelEntropy):
    """Forgets that choices have options of their own."""

    def select(self) -> Selection:
        widest = max(self.space.values(), key=len)
        return Selection({choice: (Weighted(widest[-1], None),) for choice in self.space})


class Unordered(GumbelEntropy):
    def select(self) -> Selection:
        return Selection({c: tuple(reversed(active)) for c, active in super().select().options.items()})


class Climbs(GumbelEntropy):
    def update(self) -> None:
        assert self.distribution.logits.grad is not None
        self.distribution.logits.grad.neg_()
        super().update()


class Unnamed(GumbelEntropy):
    summary = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (ForgetsItsGenerator, r"right after loading event 3\['generator'\]"),
        (ForgetsItsOptimiser, r"right after loading event 3\['optimizer'\]"),
        (GivesItsLiveState, r"state_dict\(\) at event 3, after the search went on\['optimizer'\]"),
        (LearnsFromTheLoadedState, r"loaded state of event 3, after the search went on\['optimizer'\]"),
        (DrawsGlobally, "global generator of torch was used"),
        (SeedsGlobally, r"global generator of numpy\.random was used"),
        (DependsOnTheCall, "event 1: the same seed gave"),
        (ReportDraws, "event 1: the same seed gave"),
        (ReportsLogits, "sum to"),
        (ReportsTensors, "report\\(\\) must hold plain values"),
        (OffersTheWidest, "proposal of event 1: selection activates 's_label' in the choice 'semseg<-semseg'"),
        (Unordered, "must be in the space's order"),
        (Climbs, "the optimum was found in 0 of 10 toy spaces, not 9"),
        (Unnamed, "has no summary"),
    ],
)
def test_a_broken_promise_is_caught(broken: Callable[..., GumbelEntropy], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_one_shot(lambda space, seed: broken(space, seed=seed, lr=0.1), steps=4, optimum_steps=10)


class Stubborn(RandomSearch):
    """Names the first genotype that it drew, whatever the scores."""

    def genotype(self) -> Genotype:
        return self.history[0].trial.genotype if self.history else super().genotype()


class ForgetsItsHistory(RandomSearch):
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict({**state, "history": []})


class AsksOutside(RandomSearch):
    def propose(self) -> Genotype:
        return Genotype(self.space.name, {**super().propose(), next(iter(self.space)): "elsewhere"})


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Stubborn, "is named, which has no score"),
        (ForgetsItsHistory, r"right after loading event 4\['history'\]"),
        (AsksOutside, "proposal of event 1: .*elsewhere"),
    ],
)
def test_a_broken_multi_trial_promise_is_caught(broken: type[RandomSearch], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_multi_trial(lambda space, seed: broken(space, seed=seed), trials=4, optimum_trials=5)
