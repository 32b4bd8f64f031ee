"""The paper's search: schedules, freeze rule, entropy term, and the first step of its optimiser."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from searchspace import CPSpace, InputError, SearchSpace, ToySpace, UnknownNameError
from strategies import DataUse, GumbelEntropy, Step, build_strategy, entropy_below, gumbel_softmax, probability_gap
from strategies.one_shot import entropy_at_gap
from strategies.testing import supernet_problem

CP4 = CPSpace(["semseg", "depth", "normals", "edge"])
THREE = SearchSpace("three", {"a": ["x", "y", "z"], "b": ["x", "y", "z"]})
STEP = 2**-24  # spacing of float32 numbers in [0.25, 0.5)


def set_logits(strategy: GumbelEntropy, rows: list[list[float]]) -> None:
    with torch.no_grad():
        strategy.distribution.logits.copy_(torch.tensor(rows))


def step_by_penalty(strategy: GumbelEntropy, progress: float) -> None:
    """A step whose loss is the entropy term alone."""
    strategy.anneal(progress)
    strategy.penalty().backward()
    strategy.update()


@pytest.mark.parametrize(
    ("progress", "temperature", "weight"),
    [(0.0, 1.0, -0.02), (0.25, 0.7625, 0.0), (0.5, 0.525, 0.02), (1.0, 0.05, 0.06)],
)
def test_schedules_are_linear(progress: float, temperature: float, weight: float) -> None:
    strategy = GumbelEntropy(CP4)
    strategy.anneal(progress)
    assert strategy.temperature == pytest.approx(temperature, rel=1e-12)
    assert strategy.entropy_weight == pytest.approx(weight, rel=1e-12, abs=0)


def test_schedules_are_exact_at_their_ends_and_where_the_entropy_term_vanishes() -> None:
    strategy = GumbelEntropy(CP4)
    assert (strategy.temperature, strategy.entropy_weight) == (1.0, -0.02)
    strategy.anneal(0.25)
    assert strategy.entropy_weight == 0.0
    assert strategy.penalty().item() == 0.0
    strategy.anneal(1.0)
    assert (strategy.temperature, strategy.entropy_weight) == (0.05, 0.06)


def test_number_of_architecture_parameters() -> None:
    assert GumbelEntropy(CP4).num_parameters() == 76


def test_selection_is_the_gumbel_softmax_of_its_own_noise() -> None:
    strategy = GumbelEntropy(THREE, seed=5)
    strategy.anneal(0.5)
    set_logits(strategy, [[0.0, 1.0, -1.0], [2.0, 0.5, 0.0]])
    noise = strategy.distribution.gumbel_noise(torch.Generator().manual_seed(5))
    expected = gumbel_softmax(strategy.distribution.logits, noise, strategy.temperature)
    selection = strategy.select()
    for row, choice in zip(expected, THREE, strict=True):
        assert [w.item() for _, w in selection[choice] if w is not None] == row.tolist()
        assert selection.active(choice) == THREE[choice]


def test_a_softmax_sample_has_no_noise() -> None:
    strategy = GumbelEntropy(THREE, sample="softmax")
    strategy.anneal(0.5)
    set_logits(strategy, [[0.0, 1.0, -1.0], [2.0, 0.5, 0.0]])
    expected = torch.softmax(strategy.distribution.logits / strategy.temperature, -1)
    for _ in range(2):  # nothing is drawn
        selection = strategy.select()
        for row, choice in zip(expected, THREE, strict=True):
            assert [w.item() for _, w in selection[choice] if w is not None] == row.tolist()


def test_a_hard_sample_is_one_option_with_the_gradient_of_the_soft_one() -> None:
    soft, hard = GumbelEntropy(THREE, seed=3), GumbelEntropy(THREE, seed=3, hard=True)
    gradients = []
    for strategy in (soft, hard):
        set_logits(strategy, [[0.0, 1.0, -1.0], [2.0, 0.5, 0.0]])
        selection = strategy.select()
        weights = torch.stack([w for choice in THREE for _, w in selection[choice] if w is not None])
        (weights * torch.arange(6.0)).sum().backward()
        gradients.append(strategy.distribution.logits.grad)
        if strategy is hard:
            assert sorted(weights[:3].tolist()) == sorted(weights[3:].tolist()) == [0.0, 0.0, 1.0]
            assert all(selection.active(choice) == THREE[choice] for choice in THREE)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=0)


@pytest.mark.parametrize("knobs", [{"sample": "gumble"}, {"hard": 1}])
def test_a_wrong_kind_of_sample_is_refused(knobs: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"gumbel|true or false"):
        GumbelEntropy(THREE, **knobs)


def test_the_bilevel_form_learns_its_logits_from_held_out_batches_only() -> None:
    """The same training batches with other held-out ones lead to other logits."""
    ends = []
    for shift in (0, 1):
        strategy = build_strategy("gumbel_entropy_bilevel", THREE, seed=0)
        assert strategy.data_use is DataUse.BI_LEVEL
        supernet = _Asked()
        optimizer = torch.optim.SGD(supernet.parameters(), lr=0.1)
        Step(supernet, optimizer, batch=0.0, held_out=float(shift)).take(strategy)
        ends.append(strategy.distribution.logits.detach().clone())
        assert sorted(supernet.learnt) == [(0.0, False), (float(shift), True)]
    assert not torch.equal(*ends)


class _Asked(torch.nn.Module):
    """A supernet that notes which batches it got, and whether their selection learns."""

    space = THREE

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))
        self.learnt: list[tuple[float, bool]] = []

    def loss(self, batch: float, selection: Any) -> torch.Tensor:
        weights = torch.stack([w for choice in THREE for _, w in selection[choice] if w is not None])
        self.learnt.append((batch, weights.requires_grad))
        return self.weight * (weights * (torch.arange(6.0) + 10 * batch) ** 2).sum()


def test_every_step_draws_afresh() -> None:
    strategy = GumbelEntropy(THREE)
    drawn = {tuple(w.item() for _, w in strategy.select()["a"] if w is not None) for _ in range(10)}
    assert len(drawn) == 10


# -- freezing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probabilities", "frozen"),
    [
        ([0.5, 0.25 + STEP, 0.25 - STEP], False),
        ([0.5, 0.25, 0.25], True),
        ([0.5, 0.25 - STEP, 0.25], True),  # the gap is to the second largest, wherever it stands
        ([0.5 + 2 * STEP, 0.25, 0.25 - 2 * STEP], True),
        ([0.375, 0.375, 0.25], False),
        ([0.25, 0.125, 0.625], True),
        ([0.25, 0.5, 0.25], True),
    ],
)
def test_gap_at_its_boundary(probabilities: list[float], frozen: bool) -> None:
    assert probability_gap(torch.tensor([probabilities]), 0.25).tolist() == [frozen]


def test_gap_of_a_single_option() -> None:
    assert probability_gap(torch.ones(2, 1), 0.3).tolist() == [True, True]


@pytest.mark.parametrize("threshold", [0.3, 0.7])
def test_default_gap_is_inclusive(threshold: float) -> None:
    p = (1 + threshold) / 2
    on_top = torch.tensor([p, 1 - p], dtype=torch.float64)
    gap = float(on_top[0] - on_top[1])
    assert probability_gap(on_top, gap)
    assert not probability_gap(on_top, math.nextafter(gap, 1.0))
    assert probability_gap(on_top, math.nextafter(gap, 0.0))


def test_entropy_criterion_at_its_boundary() -> None:
    half = torch.tensor([[0.5, 0.5, 0.0]], dtype=torch.float64)
    at = math.log(2)
    assert entropy_below(half, at + 1e-12).tolist() == [True]
    assert entropy_below(half, at - 1e-12).tolist() == [False]
    assert entropy_below(torch.tensor([[0.0, 1.0, 0.0]]), 0.0).tolist() == [True]
    assert entropy_below(torch.tensor([[0.4, 0.3, 0.3]]), 0.0).tolist() == [False]


@pytest.mark.parametrize(("nudge", "frozen"), [(1e-5, True), (0.0, True), (-1e-5, False)])
def test_a_choice_freezes_exactly_at_the_gap(nudge: float, frozen: bool) -> None:
    strategy = GumbelEntropy(THREE, freeze="gap", freeze_threshold=0.25)
    set_logits(strategy, [[0.0, math.log(2) + nudge, 0.0], [0.0, 0.0, 0.0]])
    if nudge == 0:
        assert strategy.distribution.probabilities[0].tolist() == [0.25, 0.5, 0.25]
    strategy.update()  # without gradients the logits stay
    assert strategy.report()["frozen"] == (["a"] if frozen else [])


@pytest.mark.parametrize(("threshold", "frozen"), [(1.04, True), (1.03, False)])
def test_the_entropy_criterion_freezes_too(threshold: float, frozen: bool) -> None:
    strategy = GumbelEntropy(THREE, freeze="entropy", freeze_threshold=threshold)
    set_logits(strategy, [[0.0, math.log(2), 0.0], [0.0, 0.0, 0.0]])  # 1.5 log 2 = 1.0397 nats, and log 3 = 1.0986
    strategy.update()
    assert strategy.report()["frozen"] == (["a"] if frozen else [])


def test_entropy_at_a_gap_of_0_3() -> None:
    """0.44 and four times 0.14; 0.65 and 0.35; a single option."""
    options = torch.tensor([[True] * 5, [True, True, False, False, False], [True, False, False, False, False]])
    five = -0.44 * math.log(0.44) - 4 * 0.14 * math.log(0.14)
    two = -0.65 * math.log(0.65) - 0.35 * math.log(0.35)
    assert entropy_at_gap(options, 0.3).tolist() == pytest.approx([five, two, 0.0], rel=1e-6)
    assert five == pytest.approx(1.46, abs=0.005)


@pytest.mark.parametrize("freeze", ["gap", "entropy"])
@pytest.mark.parametrize(("gap", "frozen"), [(0.299, []), (0.301, ["two", "three", "five"])])
def test_with_equal_others_both_criteria_freeze_at_the_same_gap(freeze: str, gap: float, frozen: list[str]) -> None:
    space = SearchSpace("s", {name: list("vwxyz")[:n] for n, name in ((2, "two"), (3, "three"), (5, "five"))})
    strategy = GumbelEntropy(space, freeze=freeze)
    widths = (2, 3, 5)
    set_logits(strategy, [[math.log((1 - gap) / n + gap * (k == 1)) for k in range(5)] for n in widths])
    strategy.update()
    assert strategy.report()["frozen"] == frozen


@pytest.mark.parametrize("freeze", ["gap", "entropy"])
def test_by_default_a_choice_with_one_option_freezes_at_once(freeze: str) -> None:
    strategy = GumbelEntropy(SearchSpace("s", {"a": ["only"], "b": ["x", "y"]}), freeze=freeze)
    strategy.update()
    assert strategy.report()["frozen"] == ["a"]


def test_a_threshold_that_is_given_holds_for_every_choice() -> None:
    strategy = GumbelEntropy(THREE, freeze="entropy", freeze_threshold=math.log(3) + 1e-6)
    strategy.update()
    assert strategy.report()["frozen"] == ["a", "b"]


def test_a_frozen_choice_runs_alone_and_stays_for_good() -> None:
    strategy = GumbelEntropy(THREE)
    set_logits(strategy, [[0.0, 3.0, 0.0], [0.0, 0.0, 0.0]])
    assert strategy.select().active("a") == ("x", "y", "z")
    strategy.update()
    for rows in ([[5.0, 0.0, 0.0], [0.0, 0.1, 0.0]], [[0.0, 0.0, 0.0], [0.0, 0.0, 0.2]]):
        set_logits(strategy, rows)
        strategy.update()
        selection = strategy.select()
        assert selection["a"] == (("y", None),)
        assert selection.active("b") == ("x", "y", "z")
        assert strategy.genotype()["a"] == "y"
    assert strategy.genotype()["b"] == "z"


def test_freezing_does_not_shift_the_noise_of_the_other_choices() -> None:
    free, frozen = GumbelEntropy(THREE, seed=2, freeze=None), GumbelEntropy(THREE, seed=2)
    for strategy in (free, frozen):
        set_logits(strategy, [[0.0, 3.0, 0.0], [0.0, 0.0, 0.0]])
        strategy.update()
    for _ in range(3):
        one, other = free.select(), frozen.select()
        assert [w.item() for _, w in one["b"] if w is not None] == [w.item() for _, w in other["b"] if w is not None]
    assert free.report()["frozen"] == []
    assert frozen.report()["frozen"] == ["a"]


class Unseen(GumbelEntropy):
    """As on a GPU: it looks only now and then which choices are frozen."""

    def _looks_for_free(self) -> bool:
        return False


def test_a_search_that_looks_later_finds_the_same() -> None:
    space = ToySpace(choices=6, options=4, seed=1)
    found = []
    for kind in (GumbelEntropy, Unseen):
        strategy = kind(space, lr=0.02, seed=3)
        problem = supernet_problem(strategy, 120)
        trajectory, numbers = [], []
        for event in problem.search:
            if event.kind == "step":
                trajectory.append((*strategy.frozen.tolist(), *strategy.distribution.logits.flatten().tolist()))
                numbers.append(sum(len(options) for options in problem.supernet.selections[-1].options.values()))
        found.append((trajectory, numbers, strategy.genotype()))
    (trajectory, at_once, genotype), (later_trajectory, later, later_genotype) = found
    assert genotype == later_genotype
    assert all(choice >= 0 for choice in trajectory[-1][:6])
    for one, other in zip(trajectory, later_trajectory, strict=True):
        assert one == pytest.approx(other, abs=1e-5)
    assert set(later) == {at_once[0], at_once[50], at_once[100]}  # what runs changes at a look alone
    assert at_once[49] < at_once[0]


def test_a_resumed_search_looks_when_it_would_have() -> None:
    strategy, resumed = Unseen(THREE), Unseen(THREE)
    for _ in range(30):
        strategy.update()
    set_logits(strategy, [[0.0, 3.0, 0.0], [0.0, 0.0, 0.0]])
    strategy.update()
    resumed.load_state_dict(strategy.state_dict())
    for step in range(31, 52):
        for one in (strategy, resumed):
            assert one.report()["frozen"] == ["a"]
            active = one.select()["a"]
            assert len(active) == (3 if step < 50 else 1)
            if step < 50:
                assert [weight.item() for _, weight in active if weight is not None] == [0.0, 1.0, 0.0]
            one.update()


# -- the entropy term and the optimiser -----------------------------------------------------------------------------


def test_penalty_is_the_weighted_mean_entropy_over_all_choices() -> None:
    strategy = GumbelEntropy(THREE)
    set_logits(strategy, [[0.0, math.log(2), 0.0], [0.0, 0.0, 0.0]])
    strategy.anneal(1.0)
    mean = (1.5 * math.log(2) + math.log(3)) / 2
    assert strategy.penalty().item() == pytest.approx(0.06 * mean, rel=1e-6)
    assert strategy.report()["entropy"] == pytest.approx(mean, rel=1e-6)


@pytest.mark.parametrize(("progress", "sign"), [(0.0, 1), (0.2, 1), (0.3, -1), (1.0, -1)])
def test_entropy_rises_in_the_first_quarter_and_falls_after_it(progress: float, sign: int) -> None:
    strategy = GumbelEntropy(THREE, lr=0.01, freeze=None)
    set_logits(strategy, [[0.5, 0.0, -0.5], [0.0, 0.6, 0.1]])
    before = strategy.report()["entropy"]
    for _ in range(5):
        step_by_penalty(strategy, progress)
    assert (strategy.report()["entropy"] - before) * sign > 0.005


def test_the_entropy_term_leads_to_uniform_early_and_to_one_hot_late() -> None:
    strategy = GumbelEntropy(THREE, lr=0.05, freeze=None)
    set_logits(strategy, [[0.5, 0.0, -0.5], [0.0, 0.6, 0.1]])
    for _ in range(60):
        step_by_penalty(strategy, 0.0)
    assert strategy.report()["entropy"] == pytest.approx(math.log(3), abs=2e-3)
    set_logits(strategy, [[0.5, 0.0, -0.5], [0.0, 0.6, 0.1]])
    for _ in range(200):
        step_by_penalty(strategy, 1.0)
    assert strategy.report()["probabilities"]["a"]["x"] > 0.98
    assert strategy.report()["probabilities"]["b"]["y"] > 0.98


@pytest.mark.parametrize("lr", [5e-4, 0.1])
def test_the_first_step_of_every_logit_has_the_size_of_the_learning_rate(lr: float) -> None:
    strategy = GumbelEntropy(THREE, lr=lr)
    loss = sum(
        cost * weight
        for choice in THREE
        for cost, (_, weight) in zip((0.3, 1.0, -2.0), strategy.select()[choice], strict=True)
        if weight is not None
    )
    assert isinstance(loss, torch.Tensor)
    loss.backward()
    gradient = strategy.distribution.logits.grad
    assert gradient is not None
    expected = -lr * gradient.sign()
    strategy.update()
    torch.testing.assert_close(strategy.distribution.logits.detach(), expected, rtol=1e-4, atol=0)
    assert strategy.distribution.logits.grad is None


def test_masked_logits_never_move() -> None:
    strategy = GumbelEntropy(CPSpace(["a", "b"]), lr=0.1, freeze=None)
    supernet_problem(strategy, 10).search.run()
    distribution = strategy.distribution
    assert (distribution.logits[~distribution.mask] == 0).all()
    assert (distribution.logits[distribution.mask] != 0).all()


def test_learning_goes_on_while_some_choices_are_frozen() -> None:
    strategy = GumbelEntropy(ToySpace(choices=2, options=3, seed=0), lr=0.1)
    set_logits(strategy, [[0.0, 3.0, 0.0], [0.0, 0.0, 0.0]])
    strategy.update()
    problem = supernet_problem(strategy, 40)
    problem.search.run()
    assert strategy.report()["frozen"] == ["c0", "c1"]
    assert strategy.genotype()["c1"] == problem.optimum["c1"]
    assert strategy.genotype()["c0"] == "o1"


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"lr": 0.0}, "lr must be a number > 0, got 0.0"),
        ({"temperature": (1.0, 0.0)}, r"temperature\[1\] must be a number > 0"),
        ({"temperature": [1.0]}, r"temperature needs two numbers, got \[1.0\]"),
        ({"entropy_weight": [0.0, 0.1, 0.2]}, "entropy_weight needs two numbers"),
        ({"freeze": "gpa"}, "unknown freeze criterion 'gpa', did you mean 'gap'"),
        ({"learning_rate": 0.1}, "'learning_rate'.*gumbel_entropy"),
        ({"space": 1}, "'space'.*gumbel_entropy"),
    ],
)
def test_knobs_that_cannot_be_used(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_strategy("gumbel_entropy", THREE, seed=0, knobs=knobs)


def test_an_unknown_strategy_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown strategy 'gumbel_entropi', did you mean 'gumbel_entropy'"):
        build_strategy("gumbel_entropi", THREE, seed=0)
