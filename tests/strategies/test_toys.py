"""The toy supernet, the deceptive table, and a step of a one-shot search on them."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

from searchspace import CPSpace, InputError, SearchSpace, Selection, Supernet, ToySpace, Weighted
from strategies import DataUse, Fixed, GumbelEntropy, RandomSearch, Trial, search_step
from strategies.testing import (
    DeceptiveTable,
    MultiTrialSearch,
    ToySupernet,
    check_same_state,
    conformance_spaces,
    toy_batch,
)


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
