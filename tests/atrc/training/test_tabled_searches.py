"""Searches of tables: what a trial gets and is charged, and runs without any image."""

from __future__ import annotations

import csv
import itertools
import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from atrc.config import Config, parse_config
from atrc.experiments import Checks, create_search, create_train, default_jobs, execute_all
from atrc.machine.stopping import Interrupted, Stop
from atrc.runs import RunDirectory
from atrc.setup import Setup
from atrc.training import _search_run, execute
from atrc.training.scoring import SCORERS, Scoring, TableScorer
from searchspace import Genotype, InputError
from strategies import Budget, RandomSearch, Score, Search, SuccessiveHalving, Trial

OPTIONS = "abc"
SEEDS, BUDGETS = (0, 1, 2), (0.25, 0.5, 1.0)


def value(first: str, second: str, seed: int, budget: float) -> float:
    return budget * (10 * OPTIONS.index(first) + OPTIONS.index(second)) + seed / 8


def write(path: Path, **more: Any) -> Path:
    """A table of two choices of three options each, three seeds, three budgets; a full training takes 80 images."""
    names = ["one", "two", "seed", "budget", "samples", "seconds", "parameters", "multiply_adds", "delta_m", "loss"]
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*names, *more])
        for first, second, seed, budget in itertools.product(OPTIONS, OPTIONS, SEEDS, BUDGETS):
            found = value(first, second, seed, budget)
            costs = [int(80 * budget), 2 * budget + seed, 100 + OPTIONS.index(first), 1000]
            rows.writerow([first, second, seed, budget, *costs, found, -found, *more.values()])
    return path


def tabled(path: Path, **changed: Any) -> Config:
    text = f"name: tabled\nspace: {{name: benchmark, file: {path}}}\nstrategy: {{name: random}}\n"
    text += "trials: {scorer: {name: table}, number: 12}\n"
    return parse_config(text, "text", [f"{key.replace('__', '.')}={json.dumps(of)}" for key, of in changed.items()])


def scorer(settings: Config, seed: int = 0, **options: Any) -> TableScorer:
    device = torch.device("cpu")
    scoring = Scoring.without_images(Setup.of(settings), seed=seed, device=device, stop=Stop())
    found: TableScorer = SCORERS.create("table", options, scoring)
    return found


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    return tabled(write(tmp_path / "small.csv"))


def genotype(settings: Config, first: str = "c", second: str = "b") -> Genotype:
    space: Any = Setup.of(settings).space
    found: Genotype = space.genotype({"one": first, "two": second})
    return found


@pytest.mark.parametrize(
    ("asked", "tabled"), [(1 / 9, 0.25), (0.25, 0.25), (0.25 + 1e-9, 0.25), (1 / 3, 0.5), (0.5, 0.5), (0.6, 1.0)]
)
def test_a_trial_gets_the_next_tabled_budget_and_pays_for_all_of_it(
    settings: Config, asked: float, tabled: float
) -> None:
    trial, of = Trial(0, genotype(settings), asked), scorer(settings)
    mean = sum(value("c", "b", seed, tabled) for seed in SEEDS) / 3
    assert of.samples(trial) == 80 * tabled
    assert of.score(trial) == Score(pytest.approx(mean), int(80 * tabled), seconds=2 * tabled + 1)


def test_a_drawn_seed_is_one_training_at_all_budgets(settings: Config) -> None:
    drawn = []
    for number in range(40):
        of = scorer(settings, number, draw="seed")
        scores = [of.score(Trial(0, genotype(settings), budget)) for budget in BUDGETS]
        (seed,) = {round(8 * (s.value - value("c", "b", 0, b))) for s, b in zip(scores, BUDGETS, strict=True)}
        assert [s.seconds for s in scores] == [2 * budget + seed for budget in BUDGETS]
        assert of.of_seed(number + 1).score(Trial(0, genotype(settings))) == scorer(
            settings, number + 1, draw="seed"
        ).score(Trial(0, genotype(settings)))
        drawn.append(seed)
    assert set(drawn) == set(SEEDS)
    of = scorer(settings, 3, draw="seed")
    every = [of.score(Trial(0, one)).seconds for one in Setup.of(settings).space.enumerate()]
    assert len(set(every)) > 1  # genotypes draw by themselves


def test_a_smaller_loss_is_a_better_score(settings: Config) -> None:
    trial = Trial(0, genotype(settings))
    assert (
        scorer(settings, score="loss", lower_is_better=True).score(trial).value == scorer(settings).score(trial).value
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score": "los"}, "unknown column 'los'.*did you mean 'loss'"),
        ({"draw": "seeds"}, "unknown draw 'seeds'.*did you mean 'seed'"),
        ({"lower_is_better": "yes"}, "must be true or false"),
        ({"file": "gone.csv"}, "gone.csv cannot be read: it does not exist"),
    ],
)
def test_a_wrong_option_of_the_scorer(settings: Config, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        scorer(settings, **options)


def test_a_table_without_a_column_of_scores(tmp_path: Path) -> None:
    path = tmp_path / "bare.csv"
    path.write_text("one,metric.accuracy\na,0.5\nb,0.6\n")
    with pytest.raises(InputError, match="no column 'score' or 'delta_m'; name one: score: COLUMN"):
        scorer(tabled(path))
    of = scorer(tabled(path), score="metric.accuracy")
    best = Setup.of(tabled(path)).space.genotype({"one": "b"})
    assert of.score(Trial(0, best)) == Score(0.6, 1000 * 8)
    with pytest.raises(InputError, match="unknown column 'seed'"):
        scorer(tabled(path), score="metric.accuracy", draw="seed")


def test_a_config_without_a_shipped_table_is_told_so(config: Config) -> None:
    with pytest.raises(InputError, match="no table has the dataset, networks and training of config 'tiny-test'"):
        scorer(config)


# -- the ledger -----------------------------------------------------------------------------------------------------


def test_simulated_seconds_are_counted_and_repeat(settings: Config) -> None:
    space: Any = Setup.of(settings).space

    def search() -> Search:
        return Search(RandomSearch(space, seed=1), score=scorer(settings), budget=Budget(seconds=20.0))

    first, again = search(), search()
    assert first.run() == again.run()
    # every new genotype takes three seconds; the trial that reaches 20 is the last one
    assert first.seconds == again.seconds == 3 * first.genotypes == 21
    assert first.repeatable
    measured = Search(RandomSearch(space, seed=1), score=lambda t: 1.0, budget=Budget(seconds=1e-9))
    measured.run()
    assert not measured.repeatable
    half = search()
    events = iter(half)
    for _ in range(7):
        next(events)
    resumed = search()
    resumed.load_state_dict(half.state_dict())
    assert resumed.run() == first.genotype()
    assert (resumed.seconds, resumed.repeatable) == (21, True)


def test_short_trials_pay_for_the_tabled_budget(settings: Config) -> None:
    space: Any = Setup.of(settings).space
    strategy = SuccessiveHalving(space, seed=0)  # 9 trials at 1/9, 3 at 1/3, 1 at 1
    search = Search(strategy, score=scorer(settings), budget=Budget(trials=13), repeat=True)
    search.run()
    assert search.samples == 80 * (9 * 0.25 + 3 * 0.5 + 1)


# -- runs without images --------------------------------------------------------------------------------------------


def test_a_search_without_data_runs_to_its_end(settings: Config, tmp_path: Path) -> None:
    assert default_jobs(settings) >= 1
    (run,) = create_search(settings, tmp_path / "runs")
    execute_all([run], quiet=True)
    result = run.result()
    found = run.genotype()
    assert found is not None
    assert result.metrics == {}
    assert result.data == {}
    assert (result.parameters, result.multiply_adds) == (100 + OPTIONS.index(found["one"]), 1000)
    assert (result.trials, result.samples, result.seconds) == (12, 80 * result.genotypes, 3 * result.genotypes)
    tried = [line["genotype"] for line in run.lines("trials.jsonl")]
    assert dict(found) == max(tried, key=lambda of: value(of["one"], of["two"], 0, 1))


def test_a_stopped_search_of_a_table_ends_as_an_uninterrupted_one(
    settings: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (whole,) = create_search(settings, tmp_path / "whole")
    execute(whole, quiet=True)
    (stopped,) = create_search(settings, tmp_path / "stopped")
    log = _search_run.SearchRun.log_trial

    def stop_after_five(self: Any, event: Any) -> None:
        log(self, event)
        self.stop.requested = self.search.spent.trials == 5

    with monkeypatch.context() as patched:
        patched.setattr(_search_run.SearchRun, "log_trial", stop_after_five)
        with pytest.raises(Interrupted):
            execute(stopped, quiet=True)
    execute(RunDirectory.open(stopped.path), quiet=True)
    assert list(stopped.lines("trials.jsonl")) == list(whole.lines("trials.jsonl"))


def test_a_table_without_costs_gives_none(tmp_path: Path) -> None:
    path = tmp_path / "bare.csv"
    path.write_text("one,score\na,1\nb,2\n")
    (run,) = create_search(tabled(path), tmp_path / "runs")
    execute(run, quiet=True)
    assert (run.result().parameters, run.result().multiply_adds) == (None, None)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"strategy": {"name": "darts"}}, "'darts' trains a supernet on images, and config 'tabled' has no dataset"),
        ({"trials__scorer": {"name": "train"}}, "'train' needs images, and config 'tabled' has no dataset"),
    ],
)
def test_what_needs_images_is_refused_without_them(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    settings = tabled(write(tmp_path / "small.csv"), **changed)
    with pytest.raises(InputError, match=message):
        create_search(settings, tmp_path / "runs", Checks())
    assert not (tmp_path / "runs").exists()


def test_networks_are_not_trained_without_images(settings: Config, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="names no dataset and no tasks, so nothing can be trained"):
        create_train(settings, ["multi"], tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_tasks_need_a_dataset() -> None:
    with pytest.raises(InputError, match="tasks need a dataset, and the key 'dataset' is missing"):
        parse_config("name: x\ntasks: [depth]", "text")


def test_the_draw_does_not_touch_other_generators(settings: Config) -> None:
    random.seed(0)
    before = random.getstate(), torch.get_rng_state().sum().item()
    scorer(settings, 1, draw="seed").score(Trial(0, genotype(settings)))
    assert (random.getstate(), torch.get_rng_state().sum().item()) == before


def test_a_failed_training_fails_its_trial(tmp_path: Path) -> None:
    path = tmp_path / "bare.csv"
    path.write_text("one,score\na,nan\nb,2\n")
    of, space = scorer(tabled(path)), Setup.of(tabled(path)).space
    assert math.isnan(of.score(Trial(0, space.genotype({"one": "a"}))).value)


def test_a_budget_without_the_drawn_seed_draws_among_its_own(tmp_path: Path) -> None:
    path = tmp_path / "uneven.csv"
    path.write_text("one,seed,budget,score\n" + "".join(f"a,{seed},1,{seed}\n" for seed in range(4)) + "a,7,0.5,7\n")
    one = Setup.of(tabled(path)).space.genotype({"one": "a"})
    scores = [
        [scorer(tabled(path), seed, draw="seed").score(Trial(0, one, budget)).value for budget in (0.5, 1.0)]
        for seed in range(40)
    ]
    assert {short for short, _ in scores} == {7}
    assert {full for _, full in scores} == {0, 1, 2, 3}
