"""The conformance suite on every strategy in the tree, and on strategies that break one promise each."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch

from searchspace import (
    CPSpace,
    Genotype,
    InputError,
    SearchSpace,
    Selection,
    Supernet,
    ToySpace,
    Weighted,
)
from strategies import (
    STRATEGIES,
    DataUse,
    Fixed,
    GumbelEntropy,
    MultiTrialStrategy,
    OneShotStrategy,
    RandomSearch,
    Trial,
    build_strategy,
    search_step,
)
from strategies.testing import (
    DeceptiveTable,
    MultiTrialSearch,
    OneShotSearch,
    ToySupernet,
    check_multi_trial,
    check_one_shot,
    check_optimum,
    check_same_state,
    conformance_spaces,
    toy_batch,
)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


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
    "optuna_gp": ({}, {"optimum_trials": 40, "optimum_choices": 3, "trials": 12}),
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


# Their search for the optimum takes five seconds or more: `make test-slow` has it.
HEAVY = {"enas", "nni_darts", "nni_gumbel_darts", "nni_proxyless", "nni_evolution", "nni_regularized_evolution"}
HEAVY |= {"bananas", "nni_tpe", "optuna_brute_force", "optuna_tpe", "optuna_gp", "optuna_nsga2", "optuna_qmc"}


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
    assert len(ONE_SHOT) >= 13
    assert len(MULTI_TRIAL) >= 12


@pytest.mark.parametrize("name", ONE_SHOT)
def test_one_shot(name: str) -> None:
    one_shot(name, finds_optimum=name not in HEAVY)


@pytest.mark.parametrize("name", MULTI_TRIAL)
def test_multi_trial(name: str) -> None:
    multi_trial(name, finds_optimum=name not in HEAVY)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(HEAVY & set(ONE_SHOT)))
def test_a_heavy_one_shot_strategy_finds_the_optimum(name: str) -> None:
    one_shot(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(HEAVY & set(MULTI_TRIAL)))
def test_a_heavy_multi_trial_strategy_finds_the_optimum(name: str) -> None:
    multi_trial(name)


@pytest.mark.parametrize("knobs", [{"freeze": "entropy", "freeze_threshold": 0.9}, {"freeze": None}])
def test_gumbel_entropy_with_other_freeze_rules(knobs: dict[str, Any]) -> None:
    def start(seed: int) -> OneShotSearch:
        return OneShotSearch(GumbelEntropy(ToySpace(3, 3, seed=seed), seed=seed, lr=0.15, **knobs), 40, seed)

    check_optimum(start, 40)
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
        (ForgetsItsGenerator, r"right after loading step 1\['generator'\]"),
        (ForgetsItsOptimiser, r"right after loading step 1\['optimizer'\]"),
        (GivesItsLiveState, r"state_dict\(\) at step 1, after the search went on\['optimizer'\]"),
        (LearnsFromTheLoadedState, r"loaded state of step 1, after the search went on\['optimizer'\]"),
        (DrawsGlobally, "global generator of torch was used"),
        (SeedsGlobally, r"global generator of numpy\.random was used"),
        (DependsOnTheCall, "step 0: the same seed proposed"),
        (ReportDraws, "step 1: the same seed proposed"),
        (ReportsLogits, "sum to"),
        (ReportsTensors, "report\\(\\) must hold plain values"),
        (OffersTheWidest, "proposal of step 0: selection activates 's_label' in the choice 'semseg<-semseg'"),
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
        (Stubborn, "the optimum was found in"),
        (ForgetsItsHistory, r"right after loading step 1\['history'\]"),
        (AsksOutside, "proposal of step 0: .*elsewhere"),
    ],
)
def test_a_broken_multi_trial_promise_is_caught(broken: type[RandomSearch], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_multi_trial(lambda space, seed: broken(space, seed=seed), trials=4, optimum_trials=5)


# -- the toy supernet and the step ----------------------------------------------------------------------------------


@pytest.mark.parametrize("space", conformance_spaces(), ids=lambda space: space.name)
def test_the_planted_optimum_has_the_least_loss(space: SearchSpace) -> None:
    supernet = ToySupernet(space, seed=4)
    assert isinstance(supernet, Supernet)
    with torch.no_grad():
        for weight in supernet.weights:
            weight.zero_()
        losses = {g: float(supernet.loss(toy_batch(0, 0), Selection.of(g))) for g in space.enumerate()}
    assert min(losses, key=losses.__getitem__) == supernet.optimum


def test_the_loss_by_hand() -> None:
    space = SearchSpace("s", {"a": ["x", "y"], "b": ["z"]})
    supernet = ToySupernet(space, {"a": {"x": 0.5, "y": 0.0}, "b": {"z": 0.2}})
    x, y, z = (w.item() for w in supernet.weights)
    share = torch.tensor(0.25, requires_grad=True)
    selection = Selection({"a": (Weighted("x", share), Weighted("y", 1 - share)), "b": (Weighted("z", None),)})
    loss = supernet.loss(torch.tensor(2.0), selection)
    out = {"x": 0.5 + 0.01 * (x - 2) ** 2, "y": 0.01 * (y - 2) ** 2, "z": 0.2 + 0.01 * (z - 2) ** 2}
    assert loss.item() == pytest.approx((0.25 * out["x"] + 0.75 * out["y"] + out["z"]) / 2, rel=1e-6)
    loss.backward()
    assert share.grad is not None
    assert float(share.grad) == pytest.approx((out["x"] - out["y"]) / 2, rel=1e-5)


def test_inactive_options_are_neither_computed_nor_trained() -> None:
    space = CPSpace(["a", "b"])
    supernet = ToySupernet(space)
    genotype = space.uniform("local")
    supernet.loss(toy_batch(0, 0), Selection.of(genotype)).backward()
    assert supernet.calls == dict.fromkeys(genotype.items(), 1)
    assert sum(w.grad is not None for w in supernet.weights) == len(space)


def test_a_derived_network_holds_only_what_was_chosen() -> None:
    space = CPSpace(["a", "b"])
    genotype = space.uniform("global")
    supernet = ToySupernet(space)
    network = supernet.derive(genotype)
    assert len(list(network.parameters())) == 4
    assert network.optimum == genotype
    network.loss(toy_batch(0, 0), Selection.of(genotype)).backward()
    assert all(w.grad is not None for w in network.parameters())
    with pytest.raises(InputError):
        supernet.derive(CPSpace(["a"]).uniform("global"))


def test_search_step_clips_the_weights_and_not_the_architecture() -> None:
    space = ToySpace(choices=2, options=2)
    strategy, supernet = GumbelEntropy(space, lr=0.1), ToySupernet(space)
    before = [w.item() for w in supernet.weights]
    optimizer = torch.optim.SGD(supernet.parameters(), lr=1.0)
    search_step(strategy, supernet, toy_batch(0, 0), optimizer, progress=0.5, clip_norm=1e-4)
    moved = torch.tensor([w.item() - b for w, b in zip(supernet.weights, before, strict=True)]).norm()
    assert float(moved) == pytest.approx(1e-4, rel=0.02)
    assert strategy.distribution.logits.detach().abs().flatten().tolist() == pytest.approx([0.1] * 4, rel=1e-2)
    assert strategy.entropy_weight == pytest.approx(0.02)


def test_search_step_returns_the_loss_without_the_penalty() -> None:
    space = ToySpace(choices=2, options=2)
    supernet = ToySupernet(space)
    genotype = space.optimum
    optimizer = torch.optim.SGD(supernet.parameters(), lr=0.0)
    got = search_step(Fixed(space, genotype=genotype), supernet, toy_batch(0, 0), optimizer, progress=0.0)
    assert torch.equal(got, supernet.loss(toy_batch(0, 0), Selection.of(genotype)).detach())
    searching = GumbelEntropy(space, freeze=None)
    weights = GumbelEntropy(space, freeze=None).select()
    got = search_step(searching, supernet, toy_batch(0, 0), optimizer, progress=0.0)
    assert torch.equal(got, supernet.loss(toy_batch(0, 0), weights).detach())
    assert not got.requires_grad


def test_search_step_refuses_another_use_of_data() -> None:
    class BiLevel(Fixed):
        data_use = DataUse.BI_LEVEL

    space = ToySpace(choices=1, options=2)
    supernet = ToySupernet(space)
    optimizer = torch.optim.SGD(supernet.parameters(), lr=0.1)
    with pytest.raises(InputError, match="bi-level"):
        search_step(BiLevel(space, genotype=space.optimum), supernet, toy_batch(0, 0), optimizer, progress=0.0)


@pytest.mark.parametrize(
    ("one", "other", "path"),
    [
        ({"a": [1, torch.ones(2)]}, {"a": [1, torch.tensor([1.0, 1.0 + 2**-23])]}, r"state\['a'\]\[1\]"),
        ({"a": 1}, {"b": 1}, "keys"),
        ({"a": 1}, {"a": 1.0}, "float instead of int"),
        ([1], [1, 2], "2 entries instead of 1"),
        (torch.ones(2), torch.ones(2, dtype=torch.float64), "state"),
    ],
)
def test_the_first_difference_of_two_states_is_named(one: Any, other: Any, path: str) -> None:
    check_same_state(one, one)
    with pytest.raises(AssertionError, match=path):
        check_same_state(one, other)


@pytest.mark.parametrize("seed", range(5))
def test_the_deceptive_table_has_one_optimum_and_leads_away_from_it(seed: int) -> None:
    space = ToySpace(choices=4, options=3, seed=seed)
    table = DeceptiveTable(space, seed)
    scores = {genotype: table.score(genotype) for genotype in space.enumerate()}
    assert max(scores, key=scores.__getitem__) == table.optimum
    assert sum(score == 1.0 for score in scores.values()) == 1
    assert len(set(scores.values())) == space.size
    # A climb over the best neighbours, started far from the optimum, ends in the trap.
    far = next(g for g in space.enumerate() if g.distance(table.optimum) == 3)
    for _ in range(10):
        better = max(space.neighbours(far), key=scores.__getitem__)
        if scores[better] <= scores[far]:
            break
        far = better
    assert far == table.trap


def test_a_multi_trial_search_tells_the_scores_of_its_table() -> None:
    space = ToySpace(choices=2, options=2, seed=1)
    strategy = RandomSearch(space)
    search = MultiTrialSearch(strategy)
    search.run(30)
    assert strategy.genotype() == search.optimum
    assert all(told.score == search.table.score(told.trial.genotype) for told in strategy.history)


def test_an_outcome_of_another_trial_is_refused() -> None:
    strategy = RandomSearch(ToySpace(choices=2, options=2))
    with pytest.raises(InputError, match="trial 0 was not asked for"):
        strategy.tell(Trial(0, strategy.space.sample(random.Random(0))), 1.0)
