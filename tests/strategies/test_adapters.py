"""Optuna's and NNI's strategies against ours, and against what they promise."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from toy_trials import SPACE, trials

from searchspace import InputError, SearchSpace, ToySpace
from strategies import (
    DARTS,
    MultiTrialStrategy,
    RegularizedEvolution,
    build_strategy,
)
from strategies.adapters import NNIDARTS, NNIRegularizedEvolution, OptunaNSGAII, OptunaQMC, OptunaTPE
from strategies.testing import supernet_problem, table_problem

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
