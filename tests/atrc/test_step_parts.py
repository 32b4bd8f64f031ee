"""The benchmark of a step: its parts are those that work, its operators and its arithmetic are counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from atrc import products
from atrc.bench import Setting, _step
from atrc.bench._counts import counting
from atrc.bench._parts import PARTS, Clock, time_parts
from atrc.config import Config, load_config
from atrc.contexts.attention import linear_attention, prototype_attention
from atrc.contexts.local_attention import local_attention
from atrc.data import BatchLoader
from atrc.layers import Pointwise
from atrc.setup import Setup
from searchspace import NONE, InputError, Selection
from searchspace.selection import Weighted
from strategies import STRATEGIES

SETTING = Setting(torch.device("cpu"), repeats=2, quick=True)


@dataclass
class Time:
    """A time that goes on only where a test says so, in whole seconds."""

    now: float = 0.0


def costly(x: Tensor, time: Time, forward: int, backward: int) -> Tensor:
    """The same tensor, which takes ``forward`` seconds, and its gradient ``backward`` seconds."""

    class Costly(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            time.now += forward
            return x.clone()

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Tensor:
            time.now += backward
            return grad.clone()

    out: Tensor = Costly.apply(x)  # type: ignore[no-untyped-call]
    return out


def slow_down(module: nn.Module, time: Time, forward: int, backward: int) -> None:
    """Makes every tensor that a module returns take time."""
    run = module.forward

    def slower(*inputs: Any, **options: Any) -> Any:
        return tree_map(
            lambda x: costly(x, time, forward, backward) if isinstance(x, Tensor) else x, run(*inputs, **options)
        )

    module.forward = slower  # type: ignore[method-assign]


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """A time in which a batch takes 1 second, clipping 5, and parts what `slowed` says."""
    time = Time()
    load = BatchLoader.batch

    def batch(self: BatchLoader, step: int) -> Any:
        time.now += 1
        return load(self, step)

    def optimise(*_: Any) -> None:
        time.now += 5

    monkeypatch.setattr(BatchLoader, "batch", batch)
    monkeypatch.setattr("atrc.training.learner.clip_gradients", optimise)
    monkeypatch.setattr("strategies._step.clip_gradients", optimise)
    monkeypatch.setattr(Clock, "of", classmethod(lambda cls, _: cls(lambda: time.now)))
    for name in ("supernet", "network"):
        build = getattr(Setup, name)
        monkeypatch.setattr(Setup, name, lambda *a, _build=build, **k: slowed(_build(*a, **k), time))
    return time


def slowed(network: Any, time: Time) -> Any:
    """A network, here of two tasks and four maps, in which every part takes time of its own."""
    slow_down(network.backbone, time, 10, 20)
    slow_down(network.heads["depth"], time, 100, 200)
    slow_down(getattr(network, "supergraph", None) or network.distillation, time, 1000, 2000)
    slow_down(network.predict["depth"], time, 10_000, 20_000)
    return network


def small(*overrides: str) -> Config:
    size = ["dataset.size=[32, 32]", "dataset.train=8", "search.batch_size=2", "train.batch_size=2"]
    return load_config("demo", ["tasks=[depth, edge]", *size, *overrides])


def test_work_counts_in_the_part_that_does_it(time: Time) -> None:
    """Every part works forward and backward. Two tasks are refined, and the backbone has four maps."""
    expected = {
        "loading": 1,
        "backbone": 4 * 30,
        "heads": 300,
        "contexts": 2 * 3000,
        "predictions and losses": 30_000,
        "optimizer": 5,
    }
    for build in (_step.search_step_of, _step.found_step):
        one = build(small(), SETTING)
        one.run()  # a search has a first batch before its first step
        for _ in range(2):
            before = time.now
            parts = one.run()
            assert parts == expected
            assert sum(parts.values()) == time.now - before


def test_the_reference_form_has_the_same_parts(time: Time) -> None:
    parts = _step.found_step(small("model.fused=false", "model.contexts.local.form=tiled"), SETTING).run()
    assert parts["contexts"] == 2 * 3000
    assert parts["heads"] == 300


def test_the_same_features_cross_both_ends_of_no_contexts(monkeypatch: pytest.MonkeyPatch, time: Time) -> None:
    network: Any = Setup(small()).network("multi", None)
    network.distillation.forward = lambda features, *_: dict(features)
    clock = Clock(lambda: time.now)
    time_parts(network, clock)
    clock.start()
    out = network(torch.zeros(2, 3, 32, 32))
    sum(x.sum() for x in out.final.values()).backward()
    parts = clock.stop()
    assert (parts["heads"], parts["contexts"], parts["predictions and losses"]) == (300, 0, 30_000)


def test_all_passes_of_a_step_count(time: Time) -> None:
    """A bi-level step reads two batches. From the held-out one, gradients go back to the contexts alone."""
    one = _step.search_step_of(small("strategy={name: darts}"), SETTING)
    one.run()
    parts = one.run()
    assert parts == {
        "loading": 2,
        "backbone": 4 * (30 + 10),
        "heads": 300 + 100,
        "contexts": 2 * (3000 + 3000),
        "predictions and losses": 2 * 30_000,
        "optimizer": 2 * 5,
    }


def test_what_a_strategy_learns_is_its_own_work(time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients of weights are ready after the contexts, and go on when the network is done."""
    gumbel: Any = STRATEGIES["gumbel_entropy"]
    select = gumbel.select
    drawn: list[str] = []

    def slower(option: str, weight: Tensor) -> Weighted:
        drawn.append(option)
        return Weighted(option, costly(weight, time, 1, 2))

    def slow_select(self: Any) -> Selection:
        options = select(self).options
        return Selection({choice: tuple(slower(*one) for one in active) for choice, active in options.items()})

    monkeypatch.setattr(gumbel, "select", slow_select)
    parts = _step.search_step_of(small(), SETTING).run()
    learnt = sum(option != NONE for option in drawn)  # the weight of nothing has no gradient
    assert learnt > 4
    assert parts["optimizer"] == 5 + len(drawn) + 2 * learnt
    assert parts["backbone"] == 4 * 30
    assert parts["contexts"] == 2 * 3000


def test_a_score_without_gradients_ends_with_its_loss(time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reward strategy learns after a forward pass alone: its own work is none of the losses."""
    enas: Any = STRATEGIES["enas"]
    reward = enas.reward

    def slow_reward(self: Any, score: float) -> None:
        time.now += 7
        reward(self, score)

    monkeypatch.setattr(enas, "reward", slow_reward)
    parts = _step.search_step_of(small("strategy={name: enas}"), SETTING).run()
    assert parts["predictions and losses"] == 30_000 + 10_000
    assert parts["optimizer"] == 2 * 5 + 7


def test_a_strategy_without_a_supernet_has_no_step() -> None:
    with pytest.raises(InputError, match="trains no supernet"):
        _step.search_step_of(small("strategy={name: random}"), SETTING)


def test_a_network_without_a_trunk_has_no_parts() -> None:
    with pytest.raises(InputError, match="Linear"):
        time_parts(nn.Linear(1, 1), Clock())


def test_parts_sum_to_the_median_step() -> None:
    def times(backbone: float, rest: float) -> dict[str, float]:
        return {**dict.fromkeys(PARTS, 0.0), "backbone": backbone, "optimizer": rest}

    found = _step.FoundStep([times(1, 1), times(2, 1), times(6, 4)], [times(6, 0)], operators=3, views=5, flops=10**9)
    numbers = found.numbers(peak=1e9)
    assert numbers["ms"] == 3000
    assert numbers["parts"]["backbone"] == pytest.approx(3000 * 0.6)
    assert sum(numbers["parts"].values()) == pytest.approx(3000)
    assert numbers["share_of_peak"] == pytest.approx(1 / 3)
    assert numbers["times_faster"] == 2


def test_operators_are_counted_where_they_are_wanted() -> None:
    wanted = [True]
    with counting(lambda: wanted[0]) as counts:
        x = torch.ones(3)  # 1
        y = x * 2 + 1  # 2
        torch.empty(2)[:1]  # 2, which compute nothing
        wanted[0] = False
        y *= 2
    y + 1
    assert counts.operators == 3
    assert counts.views == 2
    assert counts.flops == 0


@pytest.mark.parametrize("kernel", [True, False])
def test_arithmetic_of_layers_is_that_of_their_formulas(kernel: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A convolution costs a multiply-add per weight and place, and in the backward pass two."""
    if not kernel:
        monkeypatch.setattr(products, "_runs", lambda *_: False)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), Pointwise(8, 5))
    with counting() as counts:
        net(torch.zeros(2, 3, 6, 7)).sum().backward()
    places = 2 * 6 * 7
    assert counts.flops == 2 * places * (2 * 3 * 8 * 9 + 3 * 8 * 5)  # the image has no gradient


@pytest.mark.parametrize("kernel", [True, False])
def test_arithmetic_of_attention_is_that_of_its_formula(kernel: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not kernel:
        monkeypatch.setattr(products, "_runs", lambda *_: False)
    B, d, e, H, W, R = 2, 4, 6, 5, 7, 3
    q, k = (torch.rand(B, d, H, W, requires_grad=True) for _ in range(2))
    v = torch.rand(B, e, H, W, requires_grad=True)
    with counting() as counts:
        linear_attention(q, k, v).sum().backward()
    # k v^T with a row for the sum of k only where it is read; the same forward and for each gradient
    assert counts.flops == 2 * B * H * W * d * (e + (e + 1) + 2 * (e + 1) + 2 * e)
    k_R, v_R = torch.rand(B, d, R, 1, requires_grad=True), torch.rand(B, e, R, 1, requires_grad=True)
    with counting() as counts:
        prototype_attention(q, k_R, v_R).sum().backward()
    assert counts.flops == 3 * 2 * B * H * W * R * (d + e)


def test_arithmetic_of_local_attention_is_that_of_its_benchmark() -> None:
    q, k, v = (torch.rand(2, 4, 10, 11, requires_grad=True) for _ in range(3))
    with counting() as counts:
        local_attention(q, k, v, window=9, form="compiled").sum().backward()
    assert counts.flops == 2 * 7 * (2 * 10 * 11) * 9**2 * 4
