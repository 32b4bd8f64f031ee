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
from strategies import DataUse, Fixed, GumbelEntropy, MultiTrialStrategy, search_step
from strategies.testing import (
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


class RandomSearch(MultiTrialStrategy):
    """The best of genotypes drawn uniformly: what the multi-trial suite is tested with."""

    name, summary, paper = "test_random", "uniform draws", "none"

    def __init__(self, space: SearchSpace, *, seed: int = 0) -> None:
        super().__init__(space, seed=seed)
        self.rng = random.Random(seed)
        self.best: tuple[Genotype, float] | None = None

    def ask(self) -> Genotype:
        return self.space.sample(self.rng)

    def tell(self, genotype: Genotype, score: float) -> None:
        if self.best is None or score > self.best[1]:
            self.best = genotype, score

    def genotype(self) -> Genotype:
        return next(self.space.enumerate()) if self.best is None else self.best[0]

    def state_dict(self) -> dict[str, Any]:
        version, internal, gauss = self.rng.getstate()
        best = None if self.best is None else [self.best[0].to_json(), self.best[1]]
        return {"rng": [version, list(internal), gauss], "best": best}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        version, internal, gauss = state["rng"]
        self.rng.setstate((version, tuple(internal), gauss))
        best = state["best"]
        self.best = None if best is None else (self.space.validate(Genotype.from_json(best[0])), best[1])


def test_gumbel_entropy() -> None:
    check_one_shot(lambda space, seed: GumbelEntropy(space, seed=seed, lr=0.1))


@pytest.mark.parametrize("knobs", [{"freeze": "entropy", "freeze_threshold": 0.9}, {"freeze": None}])
def test_gumbel_entropy_with_other_freeze_rules(knobs: dict[str, Any]) -> None:
    def start(seed: int) -> OneShotSearch:
        return OneShotSearch(GumbelEntropy(ToySpace(3, 3, seed=seed), seed=seed, lr=0.15, **knobs), 40, seed)

    check_optimum(start, 40)
    check_one_shot(lambda space, seed: GumbelEntropy(space, seed=seed, lr=0.1, **knobs), steps=4, finds_optimum=False)


def test_fixed() -> None:
    check_one_shot(lambda space, seed: Fixed(space, genotype=next(space.enumerate())), finds_optimum=False)


def test_random_search() -> None:
    check_multi_trial(lambda space, seed: RandomSearch(space, seed=seed))


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

    def tell(self, genotype: Genotype, score: float) -> None:
        self.best = self.best or (genotype, score)


class ForgetsItsHistory(RandomSearch):
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict({**state, "best": None})


class AsksOutside(RandomSearch):
    def ask(self) -> Genotype:
        return Genotype(self.space.name, {**super().ask(), next(iter(self.space)): "elsewhere"})


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Stubborn, "the optimum was found in"),
        (ForgetsItsHistory, r"right after loading step 1\['best'\]"),
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


def test_multi_trial_scores_are_minus_the_planted_costs() -> None:
    space = ToySpace(choices=2, options=2, seed=1)
    strategy = RandomSearch(space)
    MultiTrialSearch(strategy).run(30)
    assert strategy.best == (space.optimum, 0.0)
