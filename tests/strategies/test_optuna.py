"""Optuna's studies: what is joined, what is refused, constraints between choices, and trials that fail."""

from __future__ import annotations

import functools
import inspect
import io
import warnings
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch

from searchspace import InputError, SearchSpace, ToySpace
from strategies import STRATEGIES, MultiTrialStrategy, build_strategy
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
    """Of all trials but those that were drawn and not asked for, since they were made before."""
    return [name for name in all_states(storage, study) if name != "FAIL"]


def all_states(storage: str, study: str) -> list[str]:
    return [trial.state.name for trial in optuna.load_study(study_name=study, storage=storage).trials]


@pytest.mark.parametrize(
    ("name", "space", "knobs", "message"),
    [
        (
            "optuna_nsga2",
            SPACE,
            {"pareto": True},
            r"objectives are to maximize, here to maximize and minimize \(score, cost\)",
        ),
        ("optuna_qmc", SPACE, {}, "was made for another search: its options have names, here numbers"),
        ("optuna_tpe", ToySpace(choices=4, options=3), {}, "was made for another search: the choices differ: 'c0'"),
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
    with pytest.raises(InputError, match="was made for another search: the choices differ: 'c0'"):
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
    strategy = make(name, ToySpace(choices=8, options=4, seed=0), seed=1, **SAMPLERS[name])
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


# -- studies that are nearly those of a search, and what others do to a study meanwhile ------------------------------


def turned(space: SearchSpace) -> SearchSpace:
    return SearchSpace("turned", dict(reversed(list(space.items()))))


def test_a_study_with_its_choices_in_another_order_is_refused(storage: str) -> None:
    spend(make("optuna_brute_force", storage=storage, study="joint"), 3)
    with pytest.raises(InputError, match="order"):
        make("optuna_brute_force", turned(SPACE), 1, storage=storage, study="joint").ask()


def test_a_study_that_minimises_is_refused(storage: str) -> None:
    optuna.create_study(study_name="theirs", storage=storage, direction="minimize")
    with pytest.raises(InputError, match="minimize"):
        make("optuna_tpe", storage=storage, study="theirs").ask()


def test_a_study_of_fewer_choices_is_refused(storage: str) -> None:
    study = optuna.create_study(study_name="theirs", storage=storage, direction="maximize")
    study.tell(study.ask({"c0": optuna.distributions.CategoricalDistribution(SPACE["c0"])}), 1.0)
    with pytest.raises(InputError, match="'c1'"):
        make("optuna_tpe", storage=storage, study="theirs").ask()


@pytest.mark.parametrize("shared", [True, False])
def test_saving_and_loading_open_no_study(storage: str, tmp_path: Path, shared: bool) -> None:
    fresh = make("optuna_tpe", storage=storage, study="one", shared=shared)
    state = fresh.state_dict()
    make("optuna_tpe", storage=storage, study="one", shared=shared).load_state_dict(state)
    assert not (tmp_path / "study.db").exists()


def test_a_search_that_is_only_looked_at_leaves_its_study_as_it_is(storage: str) -> None:
    whole = make("optuna_tpe", storage=storage, shared=False)
    spend(whole, 2)
    state = whole.state_dict()
    spend(whole, 2)
    looked = make("optuna_tpe", storage=storage, shared=False)
    looked.load_state_dict(state)
    looked.genotype()
    assert states(storage, "optuna_tpe-seed0") == ["COMPLETE"] * 4
    assert looked.state_dict() == state


def test_a_repair_is_not_taken_by_what_waits_in_the_study(storage: str) -> None:
    """Other searches take what waits, too: a repair must not depend on the queue."""
    space = SparseSpace(choices=14, most=1)
    strategy = make("optuna_random", space, storage=storage, study="joint")
    spend(strategy, 1)
    study = optuna.load_study(study_name="joint", storage=storage)
    for _ in range(25):
        study.enqueue_trial(dict.fromkeys(space, "on"))
    for _ in range(4):
        trial = strategy.ask()
        assert space.violation(trial.genotype) is None
        strategy.tell(trial, 0.0)
    assert "RUNNING" not in states(storage, "joint")


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_enumerated_twice_beside_a_trial_that_has_begun(storage: str, seed: int) -> None:
    """Another search has just drawn its first option when this one asks for its last trials."""
    space = ToySpace(choices=3, options=2, seed=0)
    strategy = make("optuna_brute_force", space, seed, storage=storage, study="joint")
    asked = [strategy.ask()]
    strategy.tell(asked[0], 0.0)
    study = optuna.load_study(study_name="joint", storage=storage)
    other = "o0" if asked[0].genotype["c0"] == "o1" else "o1"
    study.enqueue_trial({"c0": other})
    study.ask().suggest_categorical("c0", space["c0"])
    while (trial := strategy.ask()) is not None:
        asked.append(trial)
        strategy.tell(trial, 0.0)
    assert len({trial.genotype for trial in asked}) == len(asked) == 8


def test_a_search_that_was_restored_before_its_first_checkpointed_trial_goes_on(storage: str) -> None:
    killed = make("optuna_tpe", storage=storage)
    saved = killed.state_dict()
    first = killed.ask()
    resumed = make("optuna_tpe", storage=storage)
    resumed.load_state_dict(saved)
    assert first is not None
    assert resumed.ask() is not None


def test_a_study_that_was_deleted_meanwhile_is_one_line(storage: str) -> None:
    strategy = make("optuna_tpe", storage=storage)
    trial = strategy.ask()
    resumed = make("optuna_tpe", storage=storage)
    resumed.load_state_dict(strategy.state_dict())
    optuna.delete_study(study_name="optuna_tpe-seed0", storage=storage)
    with pytest.raises(InputError, match="deleted or replaced"):
        resumed.tell(trial, 1.0)


def test_parents_of_a_generation_are_found_in_a_storage_with_other_studies(storage: str) -> None:
    """The storage gives trials other numbers of its own when a study is built again."""
    knobs = SAMPLERS["optuna_nsga2"]
    whole = make("optuna_nsga2", **knobs)
    spend(whole, 24)
    stopped = make("optuna_nsga2", storage=storage, shared=False, **knobs)
    spend(stopped, 10)
    spend(make("optuna_random", storage=storage, study="other"), 3)
    resumed = make("optuna_nsga2", storage=storage, shared=False, **knobs)
    resumed.load_state_dict(stopped.state_dict())
    spend(resumed, 14)
    assert resumed.history == whole.history


@pytest.mark.parametrize("knob", ["join", "shared", "pareto"])
def test_a_knob_that_is_neither_true_nor_false_is_refused(knob: str) -> None:
    with pytest.raises(InputError, match=f"{knob} must be true or false"):
        make("optuna_tpe", **{knob: "no"})


@pytest.mark.parametrize("name", SAMPLERS)
def test_no_genotype_is_proposed_twice_while_there_are_others(name: str) -> None:
    strategy = make(name, **SAMPLERS[name])
    spend(strategy, 16)
    assert len({trial.genotype for trial in strategy.asked}) == 16
    if name != "optuna_brute_force":
        spend(strategy, 1)  # there are no others


def test_repeats_are_proposed_where_they_are_asked_for() -> None:
    strategy = make("optuna_random", distinct=False)
    spend(strategy, 16)
    assert len({trial.genotype for trial in strategy.asked}) < 16
    assert [trial.state.name for trial in strategy.study.trials] == ["COMPLETE"] * 16  # type: ignore[attr-defined]


# -- options that are pinned -----------------------------------------------------------------------------------------


def options_of(monkeypatch: pytest.MonkeyPatch, name: str, **knobs: Any) -> dict[str, Any]:
    """What the sampler of a strategy is given when it is made for the second trial."""
    sampler = STRATEGIES[name].sampler  # type: ignore[attr-defined]
    made = getattr(optuna.samplers, sampler)
    given: dict[str, Any] = {}

    class Recorded(made):  # type: ignore[misc, valid-type]
        @functools.wraps(made.__init__)
        def __init__(self, **options: Any) -> None:
            given.clear()
            given.update(options)
            super().__init__(**options)

    strategy = make(name, **knobs)
    monkeypatch.setattr(optuna.samplers, sampler, Recorded)
    strategy._make_sampler(1)  # type: ignore[attr-defined]
    return given


def plain_defaults(name: str) -> dict[str, Any]:
    """Options of a sampler that are numbers or words by default, but for those that say what is warned of."""
    sampler = getattr(optuna.samplers, STRATEGIES[name].sampler)  # type: ignore[attr-defined]
    parameters = inspect.signature(sampler).parameters.values()
    return {
        one.name: one.default
        for one in parameters
        if isinstance(one.default, bool | int | float | str) and not one.name.startswith("warn")
    }


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_gets_every_plain_option_whatever_optunas_defaults_are(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    given = options_of(monkeypatch, name)
    assert given.items() >= STRATEGIES[name].defaults.items()  # type: ignore[attr-defined]
    assert given.keys() >= plain_defaults(name).keys()


@pytest.mark.parametrize(("knobs", "multivariate"), [({}, True), ({"pareto": True}, False)])
def test_tpe_is_multivariate_for_one_objective(
    monkeypatch: pytest.MonkeyPatch, knobs: dict[str, Any], multivariate: bool
) -> None:
    given = options_of(monkeypatch, "optuna_tpe", **knobs)
    assert given["multivariate"] is multivariate
    assert given["constant_liar"] is True
    assert given["n_startup_trials"] == 10
    assert given["gamma"](1000) == (25 if multivariate else 100)


def test_a_user_changes_what_is_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    given = options_of(monkeypatch, "optuna_tpe", n_startup_trials=3, multivariate=False)
    assert given["n_startup_trials"] == 3
    assert given["multivariate"] is False
    assert options_of(monkeypatch, "optuna_tpe", group=True, pareto=True)["multivariate"] is True


def test_an_option_that_optuna_does_not_know_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    class Older(optuna.samplers.TPESampler):
        def __init__(self, *, n_startup_trials: int = 10, seed: int | None = None) -> None:
            super().__init__(n_startup_trials=n_startup_trials, seed=seed)

    monkeypatch.setattr(optuna.samplers, "TPESampler", Older)
    spend(make("optuna_tpe"), 2)
    with pytest.raises(InputError, match="gamma"):
        make("optuna_tpe", gamma=None)  # a user's own is not left out


def test_nobody_is_warned_of_what_is_pinned() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        spend(make("optuna_tpe"), 2)
    with warnings.catch_warnings(record=True) as of_optuna:
        warnings.simplefilter("always")
        optuna.samplers.TPESampler(prior_weight=2.0)
    with warnings.catch_warnings(record=True) as of_ours:
        warnings.simplefilter("always")
        make("optuna_tpe", prior_weight=2.0)
    said = [str(one.message) for one in of_optuna if "prior_weight" in str(one.message)]  # later versions warn
    assert [str(one.message) for one in of_ours if "prior_weight" in str(one.message)] == said
