"""Optuna's studies: what is joined, what is refused, constraints between choices, and trials that fail."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch

from searchspace import InputError, SearchSpace, ToySpace
from strategies import MultiTrialStrategy, build_strategy
from strategies.testing import SparseSpace

SPACE = ToySpace(choices=4, options=2, seed=0)
SAMPLERS = {
    "optuna_tpe": {},
    "optuna_gp": {"n_startup_trials": 4},
    "optuna_nsga2": {"population_size": 4},
    "optuna_qmc": {},
    "optuna_random": {},
    "optuna_brute_force": {},
}


@pytest.fixture
def storage(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'study.db'}"


def make(name: str, space: SearchSpace = SPACE, seed: int = 0, **knobs: Any) -> MultiTrialStrategy:
    strategy = build_strategy(name, space, seed=seed, knobs=knobs)
    assert isinstance(strategy, MultiTrialStrategy)
    return strategy


def spend(strategy: MultiTrialStrategy, trials: int) -> None:
    for _ in range(trials):
        trial = strategy.ask()
        assert trial is not None
        strategy.tell(trial, float(sum(option == "o0" for option in trial.genotype.values())), 1.0)


def states(storage: str, study: str) -> list[str]:
    return [trial.state.name for trial in optuna.load_study(study_name=study, storage=storage).trials]


@pytest.mark.parametrize(
    ("name", "space", "knobs", "message"),
    [
        ("optuna_nsga2", SPACE, {"pareto": True}, r"has 1 objectives, this search 2 \(score, cost\)"),
        ("optuna_qmc", SPACE, {}, "was made for another search: numbered options differ"),
        ("optuna_tpe", ToySpace(choices=4, options=3), {}, "was made for another search: choices differ"),
    ],
)
def test_a_study_of_another_search_is_refused(
    storage: str, name: str, space: SearchSpace, knobs: dict[str, Any], message: str
) -> None:
    spend(make("optuna_tpe", storage=storage, study="joint"), 2)
    other = make(name, space, 1, storage=storage, study="joint", **knobs)
    with pytest.raises(InputError, match=message):
        other.ask()
    assert states(storage, "joint") == ["COMPLETE"] * 2


def test_a_study_that_optuna_made_is_compared_by_its_trials(storage: str) -> None:
    study = optuna.create_study(study_name="theirs", storage=storage, direction="maximize")
    study.tell(study.ask({"c0": optuna.distributions.CategoricalDistribution(["other"])}), 1.0)
    with pytest.raises(InputError, match="holds trials of another space: 'c0' differs"):
        make("optuna_tpe", storage=storage, study="theirs").ask()


def test_a_study_is_opened_with_the_first_trial(storage: str, tmp_path: Path) -> None:
    strategy = make("optuna_tpe", seed=7, storage=storage)
    assert not (tmp_path / "study.db").exists()
    strategy.ask()
    assert optuna.get_all_study_names(storage) == ["optuna_tpe-seed7"]


def test_studies_of_strategies_and_seeds_in_one_storage_are_apart(storage: str) -> None:
    searches = [make(name, seed=seed, storage=storage) for name in ("optuna_tpe", "optuna_random") for seed in (0, 1)]
    for search in searches:
        spend(search, 3)
    names = sorted(optuna.get_all_study_names(storage))
    assert names == ["optuna_random-seed0", "optuna_random-seed1", "optuna_tpe-seed0", "optuna_tpe-seed1"]
    assert all(states(storage, name) == ["COMPLETE"] * 3 for name in names)


def test_a_study_that_was_not_named_is_not_joined_but_continued(storage: str) -> None:
    first = make("optuna_tpe", storage=storage)
    spend(first, 3)
    with pytest.raises(InputError, match="has trials already; give study='optuna_tpe-seed0' to join it"):
        make("optuna_tpe", storage=storage).ask()
    resumed = make("optuna_tpe", storage=storage)
    resumed.load_state_dict(first.state_dict())
    spend(resumed, 2)
    spend(make("optuna_tpe", seed=1, storage=storage, study="optuna_tpe-seed0"), 1)
    assert states(storage, "optuna_tpe-seed0") == ["COMPLETE"] * 6


def test_two_searches_exhaust_a_space_together(storage: str) -> None:
    one, other = (make("optuna_brute_force", seed=seed, storage=storage, study="joint") for seed in (0, 1))
    asked = []
    while (trial := (one if len(asked) % 2 else other).ask()) is not None:
        asked.append(trial.genotype)
        (one if len(asked) % 2 == 0 else other).tell(trial, 0.0)
    assert len(asked) == len(set(asked)) == 16
    assert one.ask() is None
    assert other.ask() is None


@pytest.mark.parametrize("name", SAMPLERS)
def test_constraints_between_choices_hold(name: str) -> None:
    space = SparseSpace(choices=3, most=1)
    strategy = make(name, space, seed=3, **SAMPLERS[name])
    legal = set(space.enumerate())
    assert len(legal) == 4
    asked = []
    while len(asked) < 12 and (trial := strategy.ask()) is not None:
        asked.append(trial.genotype)
        strategy.tell(trial, float(trial.genotype["c1"] == "on"))
    assert set(asked) <= legal
    assert len(asked) == (4 if name == "optuna_brute_force" else 12)
    assert strategy.genotype()["c1"] == "on"


@pytest.mark.parametrize("name", SAMPLERS)
def test_failures_are_failed_trials_of_the_study_and_never_the_best(name: str) -> None:
    strategy = make(name, seed=1, **SAMPLERS[name])
    for index in range(12):
        trial = strategy.ask()
        assert trial is not None
        if index % 3 == 0:
            strategy.fail(trial)
        elif index % 3 == 1:
            strategy.tell(trial, float("nan"))
        else:
            strategy.tell(trial, -float(index))
    found = [trial.state.name for trial in strategy.study.trials]  # type: ignore[attr-defined]
    assert found == ["FAIL", "FAIL", "COMPLETE"] * 4
    best = max(told.score for told in strategy.history)
    assert best == -2.0
    assert strategy.genotype() == strategy.history[2].trial.genotype


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("name", SAMPLERS)
def test_a_search_with_trials_in_flight_resumes(storage: str, name: str, shared: bool) -> None:
    def flying(strategy: MultiTrialStrategy, pending: list[Any], number: int) -> list[dict[str, str]]:
        asked = []
        for _ in range(number):
            trial = strategy.ask()
            assert trial is not None
            asked.append(dict(trial.genotype))
            pending.append(trial)
            if len(pending) == 3:
                told = pending.pop(0)
                strategy.tell(told, SPACE.score(told.genotype))
        return asked

    whole = make(name, **SAMPLERS[name])
    expected = flying(whole, [], 14)
    stopped = make(name, storage=storage, study="one", shared=shared, **SAMPLERS[name])
    pending: list[Any] = []
    flying(stopped, pending, 6)
    file = io.BytesIO()
    torch.save(stopped.state_dict(), file)
    file.seek(0)
    resumed = make(name, storage=storage, study="one", shared=shared, **SAMPLERS[name])
    resumed.load_state_dict(torch.load(file, weights_only=True))
    assert flying(resumed, pending, 8) == expected[6:]
    assert resumed.history == whole.history
    assert states(storage, "one") == ["COMPLETE"] * 12 + ["RUNNING"] * 2
