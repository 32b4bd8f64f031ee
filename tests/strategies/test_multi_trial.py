"""The multi-trial strategies against what their papers say, and Optuna's and NNI's against ours."""

from __future__ import annotations

import io
import math
import random
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from searchspace import Genotype, InputError, SearchSpace, ToySpace
from strategies import (
    ASHA,
    BANANAS,
    DARTS,
    GeneticAlgorithm,
    GridSearch,
    Hyperband,
    LocalSearch,
    MultiTrialStrategy,
    NothingNamed,
    RandomSearch,
    RegularizedEvolution,
    Reinforce,
    Scored,
    SuccessiveHalving,
    Trial,
    build_strategy,
)
from strategies.adapters import NNIDARTS, NNIRegularizedEvolution, OptunaNSGAII, OptunaQMC, OptunaTPE
from strategies.testing import supernet_problem, table_problem

SPACE = ToySpace(choices=4, options=3, seed=2)
LARGE = ToySpace(choices=12, options=4, seed=2)
"""So large that nothing is drawn twice."""


def trials(strategy: MultiTrialStrategy, number: int) -> list[Trial]:
    """Asks and tells, one after the other; the score is minus the planted cost."""
    found = []
    for _ in range(number):
        trial = strategy.ask()
        assert trial is not None
        assert isinstance(strategy.space, ToySpace)
        strategy.tell(trial, strategy.space.score(trial.genotype))
        found.append(trial)
    return found


@pytest.mark.parametrize("name", ["grid", "optuna_brute_force", "nni_grid"])
def test_an_enumeration_tries_every_genotype_once_and_ends(name: str) -> None:
    strategy = build_strategy(name, SPACE, seed=0)
    assert isinstance(strategy, MultiTrialStrategy)
    tried = [trial.genotype for trial in trials(strategy, SPACE.size)]
    assert set(tried) == set(SPACE.enumerate())
    assert strategy.ask() is None
    assert strategy.ask() is None
    assert strategy.genotype() == SPACE.optimum


def test_a_grid_that_was_loaded_at_its_end_stays_there() -> None:
    strategy, other = GridSearch(SPACE), GridSearch(SPACE)
    trials(strategy, SPACE.size)
    other.load_state_dict(strategy.state_dict())
    assert other.ask() is None


def test_a_grid_that_was_used_continues_where_the_loaded_one_stood() -> None:
    strategy, used = GridSearch(SPACE, seed=1), GridSearch(SPACE, seed=1)
    trials(strategy, 5)
    state = strategy.state_dict()
    expected = trials(strategy, SPACE.size - 5)
    trials(used, 10)
    used.load_state_dict(state)
    assert trials(used, SPACE.size - 5) == expected
    assert used.ask() is None


def test_evolution_mutates_one_choice_of_a_living_parent() -> None:
    strategy = RegularizedEvolution(SPACE, seed=1, population=10, tournament=4)
    trials(strategy, 60)
    for number in range(10, 60):
        alive = [told.trial.genotype for told in strategy.history[number - 10 : number]]
        assert 1 in {strategy.asked[number].genotype.distance(parent) for parent in alive}


def test_a_tournament_of_everyone_takes_the_best() -> None:
    strategy = RegularizedEvolution(SPACE, seed=1, population=10, tournament=10)
    trials(strategy, 11)
    best = max(strategy.history[:10], key=lambda told: told.score)
    assert strategy.asked[10].genotype.distance(best.trial.genotype) == 1


def is_crossover(child: Genotype, one: Genotype, other: Genotype) -> bool:
    return all(option in (one[choice], other[choice]) for choice, option in child.items())


def test_a_generation_is_half_crossover_and_half_mutants_of_the_best() -> None:
    strategy = GeneticAlgorithm(LARGE, seed=0, population=20, parents=2, mutation=0.3)
    trials(strategy, 40)
    first = sorted(strategy.history[:20], key=lambda told: -told.score)
    one, other = first[0].trial.genotype, first[1].trial.genotype
    crossed = [trial for trial in strategy.asked[20:] if is_crossover(trial.genotype, one, other)]
    assert crossed[:10] == strategy.asked[20:30]
    assert len(crossed) < 13  # mutants have options that no parent has
    assert all(1 <= min(t.genotype.distance(one), t.genotype.distance(other)) <= 7 for t in strategy.asked[30:])
    assert len({trial.genotype for trial in strategy.asked}) == 40


def test_local_search_climbs_and_starts_anew_at_an_optimum() -> None:
    strategy = LocalSearch(SPACE, seed=0, first=False)
    trials(strategy, 60)
    # Costs add up over choices, so that a climb visits the neighbours of at most four centres: then it starts anew.
    top = next(n for n, told in enumerate(strategy.history) if told.trial.genotype == SPACE.optimum)
    around = [trial.genotype.distance(SPACE.optimum) for trial in strategy.asked]
    following = around[top + 1 :]
    neighbours = len(list(SPACE.neighbours(SPACE.optimum)))
    assert following.count(1) >= neighbours
    assert any(distance > 1 for distance in following)


def test_hyperband_brackets_are_those_of_the_paper() -> None:
    """R = 81, eta = 3: brackets start with 81, 34, 15, 8 and 5 trials (algorithm 1)."""
    strategy = Hyperband(SPACE, eta=3, min_budget=1 / 81)
    assert [start for start, _ in strategy.brackets()] == [81, 34, 15, 8, 5]
    assert strategy.budgets == pytest.approx([1 / 81, 1 / 27, 1 / 9, 1 / 3, 1.0])
    asked = trials(strategy, 81 + 27 + 9 + 3 + 1 + 34)
    sizes = Counter(round(trial.budget * 81) for trial in asked[:121])
    assert sizes == {1: 81, 3: 27, 9: 9, 27: 3, 81: 1}
    assert {round(trial.budget * 81) for trial in asked[121:]} == {3}


def test_successive_halving_promotes_the_best() -> None:
    strategy = SuccessiveHalving(SPACE, eta=3, min_budget=1 / 9)
    asked = trials(strategy, 13)
    by_score = sorted(asked[:9], key=lambda trial: (-SPACE.score(trial.genotype), trial.number))
    assert [trial.genotype for trial in asked[9:12]] == [trial.genotype for trial in by_score[:3]]
    assert asked[12].genotype == by_score[0].genotype
    assert [trial.budget for trial in asked[9:13]] == pytest.approx([1 / 3] * 3 + [1.0])


def test_successive_halving_waits_for_its_scores() -> None:
    strategy = SuccessiveHalving(SPACE, eta=3, min_budget=1 / 3)
    first = [strategy.ask() for _ in range(3)]
    assert strategy.ask() is None
    for trial in first:
        assert trial is not None
        strategy.tell(trial, SPACE.score(trial.genotype))
    promoted = strategy.ask()
    assert promoted is not None
    assert promoted.budget == 1.0


def test_asha_promotes_as_soon_as_a_third_of_a_rung_is_beaten() -> None:
    strategy = ASHA(SPACE, eta=3, min_budget=1 / 9)
    budgets = [round(trial.budget * 9) for trial in trials(strategy, 40)]
    assert budgets[:4] == [1, 1, 1, 3]
    for number, trial in enumerate(strategy.asked):
        if trial.budget > strategy.budgets[0]:
            below = [told for told in strategy.history[:number] if told.trial.budget == trial.budget / 3]
            best = sorted(below, key=lambda told: -told.score)[: len(below) // 3]
            assert trial.genotype in [told.trial.genotype for told in best]


@pytest.mark.parametrize(("start", "sizes"), [(1, [1, 1, 1]), (2, [2, 1, 1]), (7, [7, 2, 1])])
def test_a_bracket_may_have_more_halvings_than_its_start_allows(start: int, sizes: list[int]) -> None:
    strategy = SuccessiveHalving(SPACE, eta=3, min_budget=1 / 9, start=start)
    asked = trials(strategy, 2 * sum(sizes))
    expected = [budget for budget, size in zip((1, 3, 9), sizes, strict=True) for _ in range(size)]
    assert [round(trial.budget * 9) for trial in asked] == 2 * expected


def test_the_named_genotype_is_the_best_of_the_largest_budget() -> None:
    strategy = SuccessiveHalving(SPACE, eta=3, min_budget=1 / 3)
    first = [strategy.ask() for _ in range(3)]
    for score, trial in enumerate(first):
        assert trial is not None
        strategy.tell(trial, 100.0 + score)
    promoted = strategy.ask()
    assert promoted is not None
    strategy.tell(promoted, 1.0)
    assert strategy.genotype() == promoted.genotype


# -- failed trials --------------------------------------------------------------------------------------------------

OURS = ["random", "grid", "local_search", "evolution", "genetic", "reinforce", "asha", "successive_halving"]
OURS += ["hyperband", "bananas"]
NNIS = ["nni_tpe", "nni_evolution", "nni_random", "nni_grid", "nni_regularized_evolution"]

SHORT: dict[str, dict[str, Any]] = {
    "evolution": {"population": 6, "tournament": 3},
    "genetic": {"population": 6, "parents": 3},
    "bananas": {"initial": 4, "refit_every": 3, "ensemble": 2, "candidates": 10},
    "nni_tpe": {"tpe_args": {"n_startup_jobs": 4}},
    "nni_evolution": {"population": 5},
    "nni_regularized_evolution": {"population": 6, "tournament": 3},
}


def make(name: str, space: SearchSpace = SPACE) -> MultiTrialStrategy:
    strategy = build_strategy(name, space, seed=2, knobs=SHORT.get(name, {}))
    assert isinstance(strategy, MultiTrialStrategy)
    return strategy


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


# -- Optuna ---------------------------------------------------------------------------------------------------------


def test_a_study_in_sqlite_is_continued_as_if_nothing_had_happened(tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna")
    whole = OptunaTPE(SPACE, seed=4)
    expected = trials(whole, 20)
    url = f"sqlite:///{tmp_path / 'study.db'}"
    stopped = OptunaTPE(SPACE, seed=4, storage=url, shared=False)
    trials(stopped, 12)
    resumed = OptunaTPE(SPACE, seed=4, storage=url, shared=False)
    resumed.load_state_dict(stopped.state_dict())
    assert trials(resumed, 8) == expected[12:]
    study = optuna.load_study(study_name="optuna_tpe-seed4", storage=url)
    assert sum(trial.state.name == "COMPLETE" for trial in study.trials) == 20


def test_an_outcome_that_the_study_knows_already_is_told_again(tmp_path: Path) -> None:
    """A process that was killed after the study learnt a score, before its own state was saved."""
    url = f"sqlite:///{tmp_path / 'study.db'}"
    killed = OptunaTPE(SPACE, seed=4, storage=url)
    trial = killed.ask()
    assert trial is not None
    saved = killed.state_dict()
    killed.tell(trial, 0.5)
    resumed = OptunaTPE(SPACE, seed=4, storage=url)
    resumed.load_state_dict(saved)
    resumed.tell(trial, 0.5)
    assert [told.score for told in resumed.history] == [0.5]
    assert len(resumed.study.trials) == 1


def test_a_study_of_its_own_begins_empty(tmp_path: Path) -> None:
    """What a search that was killed before its first checkpoint has left does not count."""
    url = f"sqlite:///{tmp_path / 'study.db'}"
    killed = OptunaTPE(SPACE, seed=4, storage=url, shared=False)
    first = killed.ask()
    again = OptunaTPE(SPACE, seed=4, storage=url, shared=False)
    assert again.ask() == first
    assert len(again.study.trials) == 1


def test_two_workers_share_a_study(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    one, other = (OptunaTPE(SPACE, seed=seed, storage=url, study="together") for seed in (1, 2))
    trials(one, 5)
    trials(other, 5)
    assert len(one.study.trials) == len(other.study.trials) == 10


def test_a_storage_that_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Optuna storage 'sqlite:////") as error:
        OptunaTPE(SPACE, storage=f"sqlite:///{tmp_path / 'missing' / 'study.db'}").ask()
    assert "\n" not in str(error.value)


def test_a_wrong_option_of_a_sampler_is_named() -> None:
    with pytest.raises(InputError, match="n_startup"):
        build_strategy("optuna_tpe", SPACE, seed=0, knobs={"n_startup": 3})


def test_the_pareto_front_of_nsga2() -> None:
    strategy = OptunaNSGAII(SPACE, seed=0, pareto=True, population_size=10)
    assert strategy.multi_objective
    for _ in range(60):
        trial = strategy.ask()
        assert trial is not None
        cost = sum(option == "o0" for option in trial.genotype.values())
        strategy.tell(trial, SPACE.score(trial.genotype), float(cost))
    front = {(t.values[0], t.values[1]) for t in strategy.study.best_trials}
    told = [(t.score, t.cost) for t in strategy.history]
    undominated = {(s, c) for s, c in told if not any((a >= s and b <= c) and (a, b) != (s, c) for a, b in told)}
    assert front == undominated


def test_a_low_discrepancy_sequence_spreads_evenly() -> None:
    strategy = OptunaQMC(SearchSpace("s", {"a": ["1", "2", "3", "4"], "b": ["1", "2"]}), seed=0)
    asked = [strategy.ask() for _ in range(17)][1:]  # Optuna draws the first one at random
    counts = Counter(trial.genotype["a"] for trial in asked if trial is not None)
    assert all(3 <= count <= 5 for count in counts.values())
    assert len(counts) == 4


# -- NNI as a cross-check -------------------------------------------------------------------------------------------


def test_darts_is_nnis_darts() -> None:
    """From the same alphas, on the same toy, the two take the same steps."""
    space = ToySpace(choices=3, options=3, seed=1)
    theirs, ours = NNIDARTS(space, seed=0, lr=0.1), DARTS(space, lr=0.1)
    with torch.no_grad():
        ours.distribution.logits.copy_(torch.stack(list(theirs.parameters())))
    for strategy in (theirs, ours):
        supernet_problem(strategy, 30, 1).search.run()
    torch.testing.assert_close(torch.stack(list(theirs.parameters())), ours.distribution.logits)
    assert theirs.genotype() == ours.genotype() == space.optimum


def test_regularized_evolution_and_nnis_do_equally_well() -> None:
    """The same table, as many trials: both name the optimum or a neighbour of it, or the trap, equally often."""

    def found(make: type[MultiTrialStrategy]) -> int:
        hits = 0
        for seed in range(6):
            space = ToySpace(4, 3, seed=seed)
            problem = table_problem(make(space, seed=seed, population=20, tournament=5), 70, seed)  # type: ignore[call-arg]
            hits += problem.search.run() == problem.optimum
        return hits

    assert abs(found(RegularizedEvolution) - found(NNIRegularizedEvolution)) <= 2
