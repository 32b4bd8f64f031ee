"""The toy supernet, the deceptive table, and a step of a one-shot search on them."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

from searchspace import CPSpace, InputError, SearchSpace, Selection, Supernet, ToySpace, Weighted
from strategies import DataUse, Fixed, GumbelEntropy, RandomSearch, Step, Trial
from strategies.testing import (
    DeceptiveTable,
    ToySupernet,
    check_same_state,
    conformance_spaces,
    table_problem,
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


@pytest.mark.parametrize("clip", ["joint", "weights"])
def test_a_step_clips_one_norm_over_weights_and_logits_or_the_weights_alone(clip: str) -> None:
    """Against the definition: the norm of all gradients of one backward pass, and plain steps with what is left."""
    space = ToySpace(choices=2, options=2)
    strategy, supernet = GumbelEntropy(space, lr=0.1), ToySupernet(space)
    logits = strategy.distribution.logits
    loss = supernet.loss(toy_batch(0, 0), GumbelEntropy(space, lr=0.1).select())
    weights = list(supernet.parameters())
    of_logits = _logit_gradient(space, supernet)
    of_weights = torch.autograd.grad(loss, weights, materialize_grads=True)
    together = [*of_weights, *([of_logits] if clip == "joint" else [])]
    norm = float(torch.stack([g.norm() for g in together]).norm())
    before = [w.item() for w in weights]
    seen: list[torch.Tensor] = []
    strategy.optimizer.register_step_pre_hook(lambda *_: seen.append(logits.grad.clone()))  # type: ignore[union-attr]
    optimizer = torch.optim.SGD(weights, lr=1.0)
    Step(supernet, optimizer, toy_batch(0, 0), clip_norm=0.5 * norm, clip=clip).take(strategy)
    moved = [b - w.item() for w, b in zip(weights, before, strict=True)]
    assert moved == pytest.approx([0.5 * float(g) for g in of_weights], rel=1e-4, abs=1e-7)
    scale = 0.5 if clip == "joint" else 1.0
    torch.testing.assert_close(seen[0], scale * of_logits, rtol=1e-4, atol=1e-7)


def _logit_gradient(space: ToySpace, supernet: ToySupernet) -> torch.Tensor:
    twin = GumbelEntropy(space, lr=0.1)
    loss = twin.penalised(supernet.loss(toy_batch(0, 0), twin.select()))
    return torch.autograd.grad(loss, twin.distribution.logits)[0]


def test_a_step_returns_the_loss_without_the_penalty() -> None:
    space = ToySpace(choices=2, options=2)
    supernet = ToySupernet(space)
    genotype = space.optimum
    optimizer = torch.optim.SGD(supernet.parameters(), lr=0.0)
    step = Step(supernet, optimizer, toy_batch(0, 0))
    got = step.take(Fixed(space, genotype=genotype))
    assert torch.equal(got, supernet.loss(toy_batch(0, 0), Selection.of(genotype)).detach())
    weights = GumbelEntropy(space, freeze=None).select()
    got = step.take(GumbelEntropy(space, freeze=None))
    assert torch.equal(got, supernet.loss(toy_batch(0, 0), weights).detach())
    assert not got.requires_grad


def test_a_step_refuses_another_use_of_data() -> None:
    class BiLevel(Fixed):
        data_use = DataUse.BI_LEVEL

    space = ToySpace(choices=1, options=2)
    supernet = ToySupernet(space)
    optimizer = torch.optim.SGD(supernet.parameters(), lr=0.1)
    with pytest.raises(InputError, match="bi-level"):
        Step(supernet, optimizer, toy_batch(0, 0)).take(BiLevel(space, genotype=space.optimum))


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
    problem = table_problem(strategy, 30)
    assert problem.search.run() == problem.optimum
    assert all(told.score == problem.score(told.trial.genotype) for told in strategy.history)


def test_an_outcome_of_another_trial_is_refused() -> None:
    strategy = RandomSearch(ToySpace(choices=2, options=2))
    with pytest.raises(InputError, match="trial 0 was not asked for"):
        strategy.tell(Trial(0, strategy.space.sample(random.Random(0))), 1.0)
