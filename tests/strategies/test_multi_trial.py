"""The multi-trial strategies against what their papers say."""

from __future__ import annotations

from collections import Counter

import pytest
from toy_trials import LARGE, SPACE, is_crossover, trials

from strategies import (
    ASHA,
    GeneticAlgorithm,
    GridSearch,
    Hyperband,
    LocalSearch,
    MultiTrialStrategy,
    RegularizedEvolution,
    SuccessiveHalving,
    build_strategy,
)


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
