"""The driver: budgets, ledger, stages, failures, repeats, trials in flight, data order, and what it refuses."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from toy_searches import SPACE, one_shot, through_a_file, trials

from searchspace import Costs, InputError, SearchSpace, Selection, ToySpace
from strategies import (
    DARTS,
    SPOS,
    Budget,
    DARTSSecondOrder,
    GumbelEntropy,
    NothingNamed,
    OneShotStrategy,
    RandomSearch,
    RandomWeightSharing,
    RegularizedEvolution,
    Score,
    Search,
    Trial,
)
from strategies.testing import ToyBatches, ToySupernet

# -- second stages ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [SPOS, RandomWeightSharing])
def test_ten_lines_of_python_find_the_optimum_with_a_second_stage(make: type[SPOS]) -> None:
    found = 0
    for seed in range(10):
        space = ToySpace(choices=4, options=3, seed=seed)
        supernet = ToySupernet(space, seed=seed)
        optimizer = torch.optim.SGD(supernet.parameters(), lr=0.1, momentum=0.9)
        held_out = [torch.randn((), generator=torch.Generator().manual_seed(seed))]
        search = Search(
            make(space, seed=seed), supernet, optimizer, train=ToyBatches(seed), held_out=held_out, steps=200
        )
        found += search.run() == space.optimum
        assert search.samples <= 200  # 81 genotypes at most, each on one sample; the rest is training
        assert search.samples == search.spent.steps + search.genotypes
        assert search.spent.steps == 200 - 81
    assert found >= 9


def test_nothing_is_named_before_the_second_stage() -> None:
    search = one_shot(SPOS(SPACE, final_trials=5), steps=20, held_out=[torch.zeros(())])
    stages, named = [], []
    for event in search:
        if event.kind == "stage":
            stages.append(event.stage)
        if event.kind == "step":
            with pytest.raises(NothingNamed, match="its second stage, which scores genotypes after the training"):
                search.genotype()
        if event.kind == "told":
            named.append(event.named)
    assert stages == ["training", "choosing", "end"]
    assert named[-1] == search.genotype()
    assert search.seconds > 0


def test_a_budget_too_small_for_the_second_stage_is_refused_with_the_numbers() -> None:
    with pytest.raises(InputError, match=r"a budget of 40 images .* takes up to 40 images \(40 trials\)"):
        one_shot(SPOS(SPACE, final_trials=40), steps=40, held_out=[torch.zeros(())])


def test_the_two_stages_draw_from_generators_of_their_own() -> None:
    strategy = RandomWeightSharing(SPACE, seed=3, final_trials=50)
    search = one_shot(strategy, budget=Budget(samples=100), held_out=[torch.zeros(())])
    trained: list[Any] = []
    scored: list[Any] = []
    supernet: Any = search.supernet
    for event in search:
        if event.kind == "step":
            trained.append([supernet.selections[-1].active(choice)[0] for choice in SPACE])
        if event.kind == "asked":
            scored.append([event.trial.genotype[choice] for choice in SPACE])
    assert len(trained) == len(scored) == 50
    assert sum(one == other for one, other in zip(trained, scored, strict=True)) < 5  # chance: 1 in 81


# -- the ledger and the budget ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("strategy", "a_step"), [(GumbelEntropy, 1), (DARTS, 2), (DARTSSecondOrder, 5)])
def test_every_pass_of_an_image_is_counted(strategy: Callable[..., OneShotStrategy], a_step: int) -> None:
    made = strategy(SPACE)
    assert made.looks() == a_step
    batches = [torch.randn(6), torch.randn(6), torch.randn(2)]
    supernet = Passing()
    search = Search(
        made, supernet, torch.optim.SGD(supernet.parameters(), 0.1), train=batches, held_out=batches, steps=3
    )
    search.run()
    assert supernet.seen == search.samples == a_step * 14


class Passing(nn.Module):
    """Counts by itself what passes through it."""

    space = SPACE

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(()))
        self.seen = 0

    def loss(self, batch: Tensor, selection: Selection) -> Tensor:
        self.seen += len(batch)
        shares = [torch.ones(()) if w is None else w for active in selection.options.values() for _, w in active]
        return (self.w * batch).square().mean() * torch.stack(shares).square().sum()

    def derive(self, genotype: object) -> None:
        raise NotImplementedError


def test_a_budget_of_images_ends_before_the_trial_that_would_exceed_it() -> None:
    class Scorer:
        made = 0

        def samples(self, trial: Trial) -> int:
            return 7

        def __call__(self, trial: Trial) -> Score:
            self.made += 1
            return Score(SPACE.score(trial.genotype), 7)

    scorer, strategy = Scorer(), RandomSearch(SPACE)
    search = trials(strategy, scorer, Budget(samples=50), repeat=True)
    search.run()
    assert (scorer.made, search.samples, search.spent.trials) == (7, 49, 7)
    assert len(strategy.asked) == 7  # the eighth was not even asked for
    assert search.ended == "the budget of 50 images is spent"
    with pytest.raises(InputError, match="a budget of 6 images does not allow one trial, which takes 7 images"):
        trials(RandomSearch(SPACE), Scorer(), Budget(samples=6)).run()


def test_a_score_without_samples_allows_no_budget_of_images() -> None:
    with pytest.raises(InputError, match="does not say how many images it took"):
        trials(RandomSearch(SPACE), budget=Budget(samples=10)).run()


def test_a_budget_in_seconds_is_kept_over_a_resume_and_said_not_to_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock on which every step takes a hundredth of a second, however busy the machine is."""
    ticks = itertools.count()
    monkeypatch.setattr("strategies._training.time", SimpleNamespace(perf_counter=lambda: next(ticks) / 100))

    def make() -> Search:
        return one_shot(GumbelEntropy(SPACE, lr=0.1), budget=Budget(seconds=0.4))

    search = make()
    events = iter(search)
    while search.seconds < 0.2:
        next(events)
    assert search.seconds == pytest.approx(0.2, abs=0.011)
    progress = search.strategy.temperature  # type: ignore[union-attr]
    assert progress == pytest.approx(1.0 - 0.95 * search.seconds / 0.4, abs=0.05)
    resumed = make()
    resumed.load_state_dict(through_a_file(search.state_dict()))
    resumed.run()
    assert resumed.seconds == pytest.approx(0.4, abs=0.011)
    assert not resumed.repeatable
    assert trials(RandomSearch(SPACE)).repeatable
    assert not trials(RandomSearch(SPACE), told="as_they_come").repeatable


def test_schedules_follow_the_spent_budget() -> None:
    rates = []
    search = one_shot(
        GumbelEntropy(SPACE, freeze=None), budget=Budget(samples=8), scheduler=lambda s, p: rates.append((s, p))
    )
    temperatures = [search.strategy.temperature for e in search if e.kind == "step"]  # type: ignore[union-attr]
    assert rates == [(step, step / 8) for step in range(8)]
    assert temperatures == pytest.approx([1.0 - 0.95 * step / 8 for step in range(8)])


@pytest.mark.parametrize("wrong", [{}, {"samples": 0}, {"seconds": -1.0}, {"trials": math.nan}, {"samples": "1e3"}])
def test_a_budget_that_is_none_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="budget"):
        Budget(**wrong)


# -- failed, repeated and flying trials ------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [math.nan, math.inf, None])
def test_failures_are_told_and_never_named(failure: float | None) -> None:
    def score(trial: Trial) -> float | None:
        return failure if trial.number % 2 == 0 else SPACE.score(trial.genotype)

    strategy = RandomSearch(SPACE)
    search = trials(strategy, score, Budget(trials=10), repeat=True)
    told = [event for event in search if event.kind == "told"]
    assert [event.score is None for event in told] == [True, False] * 5
    assert told[0].named is None
    assert search.genotype() == max(strategy.history[1::2], key=lambda one: one.score).trial.genotype


def test_a_search_without_a_finite_score_fails() -> None:
    with pytest.raises(InputError, match="none of its 20 trials has a finite score"):
        trials(RandomSearch(SPACE), lambda trial: math.nan, repeat=True).run()


def test_repeated_genotypes_cost_nothing_and_end_the_search_after_a_hundred() -> None:
    space = SearchSpace("two", {"a": ["x", "y"]})
    calls: list[Trial] = []

    def score(trial: Trial) -> Score:
        calls.append(trial)
        return Score(float(trial.genotype["a"] == "y") + 0.01 * len(calls), 5)

    search = Search(RandomSearch(space), score=score, budget=Budget(samples=10**9))
    told = [event for event in search if event.kind == "told"]
    assert len(calls) == search.genotypes == 2
    assert search.samples == 10
    assert search.ended == "the last 100 trials proposed genotypes that were scored before"
    assert len({(event.trial.genotype, event.score) for event in told}) == 2
    assert sum(not event.repeated for event in told) == 2
    again = Search(RandomSearch(space), score=score, budget=Budget(trials=30), repeat=True)
    again.run()
    assert len(calls) == 32


def test_trials_are_told_in_the_order_of_asking() -> None:
    search = trials(RegularizedEvolution(SPACE, population=4, tournament=2), in_flight=3, repeat=True)
    order = [(event.kind, event.trial.number) for event in search if event.kind in ("asked", "told")]  # type: ignore[union-attr]
    assert order[:6] == [("asked", 0), ("asked", 1), ("asked", 2), ("told", 0), ("asked", 3), ("told", 1)]
    assert [number for kind, number in order if kind == "told"] == list(range(20))


def test_no_trial_is_left_in_flight_where_a_scorer_cannot_go_on() -> None:
    def score(trial: Trial) -> float:
        if trial.number == 3:
            raise InputError("no such row")
        return 0.0

    strategy = RandomSearch(SPACE)
    with pytest.raises(InputError, match="no such row"):
        trials(strategy, score, in_flight=3, repeat=True).run()
    assert len(strategy.history) == len(strategy.asked)


def test_the_scored_genotypes_and_flights_are_state() -> None:
    def make() -> Search:
        return trials(RegularizedEvolution(SPACE, population=4, tournament=2), budget=Budget(trials=60), in_flight=3)

    whole = make()
    expected = list(whole)
    for cut in (1, 2, 3, 7, 40):
        stopped = make()
        events = iter(stopped)
        for _ in range(cut):
            next(events)
        resumed = make()
        resumed.load_state_dict(through_a_file(stopped.state_dict()))
        assert list(resumed) == expected[cut:], cut
        assert resumed.genotype() == whole.genotype()


# -- cost ------------------------------------------------------------------------------------------------------------


def test_scores_are_told_with_the_penalty_of_cost() -> None:
    costs = Costs({choice: {o: float(o == "o0") for o in options} for choice, options in SPACE.items()})
    search = trials(RandomSearch(SPACE), costs=costs, cost_weight=8.0)
    for event in search:
        if event.kind == "told":
            dear = sum(option == "o0" for option in event.trial.genotype.values())
            assert event.value == SPACE.score(event.trial.genotype)
            assert event.score == pytest.approx(event.value - 8.0 * dear / 4)
            assert event.cost == dear
