"""Trials that fail, and genotypes that break a constraint: what strategies make of them."""

from __future__ import annotations

import io
import math
import random
from collections.abc import Callable, Mapping

import pytest
import torch
from toy_trials import LARGE, NNIS, OURS, SPACE, is_crossover, make, trials

from searchspace import Genotype, InputError, SearchSpace, ToySpace
from strategies import (
    ASHA,
    BANANAS,
    GeneticAlgorithm,
    LocalSearch,
    MultiTrialStrategy,
    NothingNamed,
    RandomSearch,
    RegularizedEvolution,
    Reinforce,
    Scored,
    SuccessiveHalving,
    Trial,
)

# -- failed trials --------------------------------------------------------------------------------------------------


def give_up(strategy: MultiTrialStrategy, trial: Trial) -> None:
    """The trial fails, in one of the ways in which trials do."""
    ways: list[Callable[[Trial], None]] = [
        strategy.fail,
        lambda trial: strategy.tell(trial, math.nan),
        lambda trial: strategy.tell(trial, math.inf),
        lambda trial: strategy.tell(trial, -math.inf, 3.0),
    ]
    ways[trial.number % len(ways)](trial)


def some_fail(strategy: MultiTrialStrategy, number: int, fails: Callable[[Trial], bool]) -> list[Trial]:
    """`trials`, of which some fail."""
    found = []
    for _ in range(number):
        trial = strategy.ask()
        assert trial is not None
        if fails(trial):
            give_up(strategy, trial)
        else:
            assert isinstance(strategy.space, ToySpace)
            strategy.tell(trial, strategy.space.score(trial.genotype))
        found.append(trial)
    return found


def every_other(trial: Trial) -> bool:
    """The best half of the genotypes, the optimum among them, fails; and the first trials."""
    return trial.number < 3 or SPACE.score(trial.genotype) > -1.0


def scored(strategy: MultiTrialStrategy) -> list[Scored]:
    return [told for told in strategy.history if not told.failed]


@pytest.mark.parametrize("name", OURS + NNIS)
def test_a_search_goes_on_after_trials_that_failed_and_names_none_of_them(name: str) -> None:
    strategy = make(name)
    some_fail(strategy, 60, every_other)
    outcomes = [told.score for told in scored(strategy)]
    assert 3 < len(outcomes) < 57
    assert all(math.isfinite(score) for score in outcomes)
    assert SPACE.score(strategy.genotype()) <= -1.0
    largest = max(told.trial.budget for told in scored(strategy))
    assert SPACE.score(strategy.genotype()) == max(t.score for t in scored(strategy) if t.trial.budget == largest)


@pytest.mark.parametrize("name", OURS + NNIS)
def test_a_search_with_failed_trials_resumes_as_if_nothing_had_happened(name: str) -> None:
    whole, stopped, resumed = make(name), make(name), make(name)
    expected = some_fail(whole, 40, every_other)
    some_fail(stopped, 23, every_other)
    file = io.BytesIO()
    torch.save(stopped.state_dict(), file)
    file.seek(0)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    assert some_fail(resumed, 17, every_other) == expected[23:]
    assert resumed.history == whole.history


@pytest.mark.parametrize("name", OURS + NNIS)
def test_a_search_of_which_every_trial_fails_goes_on_and_names_nothing(name: str) -> None:
    strategy = make(name)
    some_fail(strategy, 40, lambda trial: True)
    assert all(told.score == -math.inf for told in strategy.history)
    with pytest.raises(NothingNamed, match=f"{name!r} names no genotype yet"):
        strategy.genotype()


@pytest.mark.parametrize("score", [1.0, math.nan])
def test_an_outcome_is_told_once(score: float) -> None:
    strategy = RandomSearch(SPACE)
    trial = strategy.ask()
    strategy.tell(trial, score)
    for again in (lambda: strategy.tell(trial, 5.0), lambda: strategy.fail(trial)):
        with pytest.raises(InputError, match="trial 0 was told before"):
            again()
    assert len(strategy.history) == 1


def test_evolution_keeps_failed_trials_out_of_its_population() -> None:
    space = SearchSpace("s", {f"c{i}": list("abcde") for i in range(8)})
    strategy = RegularizedEvolution(space, seed=1, population=6, tournament=1)
    for number in range(60):
        trial = strategy.ask()
        alive = [told.trial.genotype for told in scored(strategy)[-6:]]
        assert number < 6 or 1 in {trial.genotype.distance(parent) for parent in alive}
        if number % 2:
            strategy.tell(trial, float(-number))
        else:
            give_up(strategy, trial)


def test_no_parent_of_a_generation_has_failed() -> None:
    """Of the first generation two have a score, of four that would breed."""
    strategy = GeneticAlgorithm(LARGE, seed=0, population=20, parents=4, mutation=0.3)
    asked = some_fail(strategy, 40, lambda trial: trial.number not in (3, 11))
    one, other = asked[3].genotype, asked[11].genotype
    assert all(is_crossover(trial.genotype, one, other) for trial in asked[20:30])
    assert len({trial.genotype for trial in asked}) == 40


def test_local_search_takes_another_start_and_moves_to_no_failed_neighbour() -> None:
    strategy = LocalSearch(SPACE, seed=0)
    starts = some_fail(strategy, 3, lambda trial: True)
    draws = random.Random(0)
    assert [trial.genotype for trial in starts] == [SPACE.sample(draws) for _ in range(3)]
    start = strategy.ask()
    assert start is not None
    strategy.tell(start, 0.5)
    around = some_fail(strategy, len(list(SPACE.neighbours(start.genotype))), lambda trial: True)
    assert {trial.genotype for trial in around} == set(SPACE.neighbours(start.genotype))
    assert strategy.genotype() == start.genotype


def test_reinforce_takes_no_gradient_from_a_failed_trial() -> None:
    strategy = Reinforce(SPACE, seed=0)
    trials(strategy, 5)
    before = strategy.distribution.logits.detach().clone()
    some_fail(strategy, 8, lambda trial: True)
    assert torch.equal(strategy.distribution.logits.detach(), before)
    trials(strategy, 3)
    assert strategy.distribution.logits.isfinite().all()


def test_bananas_learns_from_scores_alone() -> None:
    """It begins to mutate when as many trials as ``initial`` have a score, and mutates these."""
    strategy = BANANAS(SearchSpace("s", {f"c{i}": list("abcde") for i in range(8)}), seed=0, initial=4, ensemble=2)
    for number in range(12):
        trial = strategy.ask()
        if number % 2:
            strategy.tell(trial, float(number))
        else:
            give_up(strategy, trial)
        parents = [told.trial.genotype for told in scored(strategy) if told.trial.number < number]
        near = any(trial.genotype.distance(parent) == 1 for parent in parents)
        assert near == (number >= 8)


def test_asha_promotes_no_failed_trial() -> None:
    strategy = ASHA(SPACE, seed=0, eta=3, min_budget=1 / 9)
    some_fail(strategy, 60, every_other)
    promoted = [trial for trial in strategy.asked if trial.budget > strategy.budgets[0]]
    assert promoted
    for trial in promoted:
        below = [t for t in strategy.history if t.trial.budget == trial.budget / 3 and t.trial.number < trial.number]
        assert trial.genotype in [told.trial.genotype for told in below if not told.failed]


def test_a_rung_with_too_few_scores_promotes_its_best_again() -> None:
    strategy = SuccessiveHalving(SPACE, seed=0, eta=3, min_budget=1 / 9)
    asked = some_fail(strategy, 9, lambda trial: trial.number not in (2, 7))
    best, worse = sorted((asked[2], asked[7]), key=lambda trial: -SPACE.score(trial.genotype))
    rung = trials(strategy, 3)
    assert [trial.genotype for trial in rung] == [best.genotype, worse.genotype, best.genotype]
    assert [trial.budget for trial in rung] == pytest.approx([1 / 3] * 3)


def test_a_rung_after_one_without_scores_is_drawn_afresh() -> None:
    strategy = SuccessiveHalving(SPACE, seed=0, eta=3, min_budget=1 / 9)
    some_fail(strategy, 9, lambda trial: True)
    rung = trials(strategy, 3)
    assert [trial.budget for trial in rung] == pytest.approx([1 / 3] * 3)
    draws = random.Random(0)
    assert [trial.genotype for trial in rung] == [SPACE.sample(draws) for _ in range(12)][9:]
    assert strategy.ask().budget == 1.0


# -- constraints between choices ------------------------------------------------------------------------------------


class Even(SearchSpace):
    """Switches of which an even number is on: no genotype has a legal neighbour."""

    def __init__(self, switches: int) -> None:
        super().__init__("even", {f"s{i}": ["off", "on"] for i in range(switches)})

    def violation(self, choices: Mapping[str, str]) -> str | None:
        return "an odd number is on" if list(choices.values()).count("on") % 2 else None


class Alone(Even):
    """One genotype is legal."""

    def violation(self, choices: Mapping[str, str]) -> str | None:
        return "one is on" if "on" in choices.values() else None


class Alike(Even):
    """All switches are on, or all are off: what two genotypes breed is next to never legal."""

    def violation(self, choices: Mapping[str, str]) -> str | None:
        return None if len(set(choices.values())) == 1 else "switches differ"

    def sample(self, rng: random.Random) -> Genotype:
        return self.genotype(dict.fromkeys(self, rng.choice(["off", "on"])))


@pytest.mark.parametrize("name", [name for name in OURS if name != "reinforce"])
@pytest.mark.parametrize(
    "space", [Even(5), Alone(5), SearchSpace("single", {"a": ["x"], "b": ["y"]})], ids=["even", "alone", "single"]
)
def test_strategies_work_where_no_genotype_has_a_neighbour(name: str, space: SearchSpace) -> None:
    strategy = make(name, space)
    assert strategy.supports(space)
    for number in range(25):
        trial = strategy.ask()
        if trial is None:
            assert name == "grid"
            break
        strategy.tell(trial, float(-number))
    assert strategy.genotype() in set(space.enumerate())


def test_local_search_climbs_over_the_nearest_genotypes() -> None:
    space = Even(6)
    strategy = LocalSearch(space, seed=0, first=False)
    for _ in range(16):
        trial = strategy.ask()
        strategy.tell(trial, -float(list(trial.genotype.values()).count("on")))
    around = {trial.genotype.distance(strategy.asked[0].genotype) for trial in strategy.asked[1:]}
    assert around == {2}


def test_what_parents_breed_is_drawn_afresh_where_none_of_it_is_legal() -> None:
    space = Alike(60)
    strategy = GeneticAlgorithm(space, seed=0, population=4, parents=2)
    for number in range(12):
        trial = strategy.ask()
        assert trial is not None
        strategy.tell(trial, float(number))


@pytest.mark.parametrize("name", ["reinforce", *NNIS])
def test_strategies_that_treat_choices_as_independent_say_so(name: str) -> None:
    strategy = make(name)
    assert strategy.supports(SPACE)
    assert not strategy.supports(Even(3))
