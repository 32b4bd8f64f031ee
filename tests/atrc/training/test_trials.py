"""Searches by every use of data: what they take, that they resume to the same bits, and how genotypes are scored."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
import torch

from atrc.config import Compare, Config, Named
from atrc.data import BatchLoader, hold_out
from atrc.experiments import create_search
from atrc.experiments.comparison import incumbents
from atrc.inference import open_run
from atrc.machine.memory import peak_memory, reset_peak_memory
from atrc.runs import RunDirectory
from atrc.setup import Setup
from atrc.training import Interrupted, execute
from searchspace import InputError

KNOBS = {
    "darts": {},
    "gumbel_entropy": {},
    "enas": {"hidden": 8},
    "spos": {"final_trials": 2, "population": 2, "parents": 1},
    "random": {},
    "evolution": {"population": 4, "tournament": 2},
    "successive_halving": {"eta": 2, "min_budget": 0.5},
}


def small(config: Config, name: str, **changes: Any) -> Config:
    """Two tasks, one strategy, trials of three steps."""
    search = config.search.model_copy(update={"steps": changes.pop("steps", 6)})
    strategy = config.strategy.model_validate({"name": name, **KNOBS[name]})
    trials = config.trials.model_copy(update={"steps": 2, "images": 4, "recalibration": 4, **changes})
    tasks = {"depth": {}, "edge": {"thresholds": 5}}
    return config.model_copy(update={"tasks": tasks, "search": search, "strategy": strategy, "trials": trials})


def searched(config: Config, folder: Path) -> RunDirectory:
    (run,) = create_search(config, folder)
    execute(run, quiet=True)
    return run


@pytest.mark.parametrize(
    ("name", "samples", "steps"),
    [
        ("darts", 48, 6),  # six steps of four images, and as many held-out ones
        ("enas", 48, 6),
        ("spos", 24, 2),  # two trials take four held-out and four training images each: 16 of 24 are left for them
        ("random", 24, 2),  # a trial takes two steps of four images, and looks at four held-out ones
    ],
)
def test_what_a_search_takes(config: Config, tmp_path: Path, name: str, samples: int, steps: int) -> None:
    """Every image counts each time it passes through a network; a second stage takes its share of the budget."""
    run = searched(small(config, name), tmp_path)
    result = run.result()
    assert (result.samples, result.steps) == (samples, steps)
    assert result.peak_memory is None or result.peak_memory > 2**20
    space = Setup.of(run.config).space
    genotype = run.genotype()
    assert genotype is not None
    space.validate(genotype)
    assert set(result.metrics) == (set() if name == "random" else {"depth", "edge"})


def test_trials_are_logged_with_what_they_took(config: Config, tmp_path: Path) -> None:
    run = searched(small(config, "successive_halving", steps=9), tmp_path)
    lines = list(run.lines("trials.jsonl"))
    # eta 2: two trials of half a training of 2 steps, then the better one with all of it; 4 images to score each:
    # 4 + 4, 4 + 4 and 8 + 4 of 36.
    assert [line["budget"] for line in lines[:3]] == [0.5, 0.5, 1.0]
    assert [line["samples"] for line in lines[:3]] == [8, 16, 28]
    best = max(lines[:2], key=lambda line: line["score"])
    assert lines[2]["genotype"] == best["genotype"]
    assert run.result().samples == lines[-1]["samples"] <= 36
    assert run.result().steps == run.result().trials == len(lines)


def test_the_last_stage_of_spos_names_the_best_that_it_scored(config: Config, tmp_path: Path) -> None:
    run = searched(small(config, "spos", steps=12), tmp_path)
    lines = list(run.lines("trials.jsonl"))
    assert len(lines) == 2
    genotype = run.genotype()
    assert genotype is not None
    assert dict(genotype) == max(lines, key=lambda line: line["score"])["genotype"]
    # what it took is in the one ledger: seconds and images go on from where the training ended
    trained = list(run.lines("metrics.jsonl"))[-1]
    assert lines[0]["seconds"] > trained["seconds"]
    assert [line["samples"] for line in lines] == [8 * 4 + 8, 8 * 4 + 16]
    assert not any("genotype" in line for line in run.lines("architecture.jsonl"))  # nothing is named before
    loaded = open_run(run, "cpu")
    assert loaded.genotype == genotype


def test_a_budget_below_the_second_stage_is_refused_before_there_is_a_run(config: Config, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a budget of 16 images .* second stage takes up to 16 images"):
        create_search(small(config, "spos", steps=4), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["darts", "enas", "spos", "random"])
def test_a_stopped_search_resumes_to_the_same_outcome(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    settings = small(config, name, steps=12)
    whole = searched(settings, tmp_path / "whole")
    (stopped,) = create_search(settings, tmp_path / "stopped")
    _interrupt_at(monkeypatch, 5)
    with pytest.raises(Interrupted):
        execute(stopped, quiet=True)
    monkeypatch.undo()
    again = RunDirectory.open(stopped.path)
    assert not again.finished
    execute(again, quiet=True)
    assert again.genotype() == whole.genotype()
    assert again.result().metrics == whole.result().metrics
    for file in ("trials.jsonl", "architecture.jsonl"):
        assert _plain(again, file) == _plain(whole, file)


def _interrupt_at(monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    """SIGINT when the training asks for so many batches."""
    original: Callable[..., Any] = BatchLoader.batch
    asked = 0

    def counting(self: BatchLoader, step: int) -> Any:
        nonlocal asked
        asked += 1
        if asked == batch:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, step)

    monkeypatch.setattr(BatchLoader, "batch", counting)


def _plain(run: RunDirectory, file: str) -> list[dict[str, Any]]:
    return [{key: value for key, value in line.items() if key != "seconds"} for line in run.lines(file)]


def test_a_budget_below_one_trial_is_refused(config: Config, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a budget of 4 images does not allow one trial, which takes 12 images"):
        searched(small(config, "random", steps=1), tmp_path)


def test_a_study_lies_in_the_run(config: Config, tmp_path: Path) -> None:
    settings = small(config, "random").model_copy(
        update={"strategy": config.strategy.model_validate({"name": "optuna_tpe"})}
    )
    run = searched(settings, tmp_path)
    study = optuna.load_study(study_name="optuna_tpe-seed0", storage=f"sqlite:///{run.path / 'study.db'}")
    told = [line["score"] for line in run.lines("trials.jsonl")]
    assert [trial.value for trial in study.trials if trial.value is not None] == told


@pytest.mark.parametrize(("name", "images"), [("gumbel_entropy", 12), ("darts", 6), ("spos", 6)])
def test_what_the_weights_learn_from(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, images: int
) -> None:
    """Single-level strategies train on all images, unless a second stage scores genotypes on those held out."""
    seen: dict[int, set[str]] = {}
    original = BatchLoader.batch

    def watched(self: BatchLoader, step: int) -> Any:
        batch = original(self, step)
        seen.setdefault(self.seed, set()).update(batch.ids)
        return batch

    monkeypatch.setattr(BatchLoader, "batch", watched)
    searched(small(config, name, steps=24), tmp_path)
    assert len(seen[0]) == images


def test_training_and_held_out_batches_do_not_come_in_pairs(config: Config, tmp_path: Path, monkeypatch: Any) -> None:
    """Of 6 + 6 images two independent orders make 36 pairs of images; the same order for both makes 6."""
    batches: dict[int, list[list[str]]] = {}
    original = BatchLoader.batch

    def watched(self: BatchLoader, step: int) -> Any:
        batch = original(self, step)
        batches.setdefault(self.seed, []).append(batch.ids)
        return batch

    monkeypatch.setattr(BatchLoader, "batch", watched)
    settings = small(config, "darts", steps=24)
    search = settings.search.model_copy(update={"batch_size": 2})
    searched(settings.model_copy(update={"search": search}), tmp_path)
    train, held_out = batches.values()
    pairs = {pair for one, other in zip(train, held_out, strict=False) for pair in zip(one, other, strict=True)}
    assert len(pairs) > 15


def test_a_charged_search_by_trials_tells_and_names_by_what_was_told(config: Config, tmp_path: Path) -> None:
    """Cost weighs so much that the cheapest genotype is named, whatever the scores."""
    plain = small(config, "random", steps=15)
    cost = plain.model_validate({**plain.model_dump(), "cost": {"weight": 1000.0}}).cost
    run = searched(plain.model_copy(update={"cost": cost}), tmp_path)
    lines = list(run.lines("trials.jsonl"))
    assert len(lines) == 5
    cheapest = min(lines, key=lambda line: line["cost"])
    assert all(line["score"] < line["value"] for line in lines if line["cost"] > 0)
    genotype = run.genotype()
    assert genotype is not None
    assert dict(genotype) == cheapest["genotype"]
    dearest_best = max(lines, key=lambda line: line["value"])
    assert dearest_best["genotype"] != cheapest["genotype"]  # the raw scores alone would name another one
    compare = Compare(strategies={"random": Named(name="random")}, samples=60, points=5)
    told_best = [max(lines[:n], key=lambda line: line["score"])["genotype"] for n in range(1, 6)]
    assert [dict(incumbent.genotype) for incumbent in incumbents(run, compare)] == told_best


class KillsAWorker:
    """SIGKILL to one process that scores trials, after the second trial."""

    def __call__(self, source: str, line: Any) -> None:
        if source == "trials" and line["step"] == 2:
            psutil.Process().children(recursive=True)[-1].kill()


def test_trials_in_flight_do_not_depend_on_processes(config: Config, tmp_path: Path) -> None:
    settings = small(config, "evolution", steps=30, in_flight=3)
    here, processes, killed = (create_search(settings, tmp_path / name)[0] for name in "abc")
    execute(here, quiet=True)
    execute(processes, quiet=True, jobs=2)
    with killed.listening(KillsAWorker()):
        execute(killed, quiet=True, jobs=2)
    for other in (processes, killed):
        assert other.genotype() == here.genotype()
        assert _plain(other, "trials.jsonl") == _plain(here, "trials.jsonl")
        assert other.result().samples == here.result().samples


def test_a_search_by_trials_has_no_network_to_load(config: Config, tmp_path: Path) -> None:
    run = searched(small(config, "random"), tmp_path)
    with pytest.raises(InputError, match="keeps no network"):
        open_run(run, "cpu")


# -- held-out data --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "held"), [(0.5, 6), (0.01, 1), (0.99, 11)])
def test_what_is_held_out_and_the_rest_are_the_whole(config: Config, share: float, held: int) -> None:
    whole = Setup.of(config).split("train")
    rest, out = hold_out(whole, share)
    assert len(out) == held
    ids = [part[index].id for part in (rest, out) for index in range(len(part))]
    assert sorted(ids) == sorted(whole[index].id for index in range(len(whole)))
    again = hold_out(whole, share)[1]
    assert [again[i].id for i in range(held)] == [out[i].id for i in range(held)]


def test_peak_memory_is_that_of_what_came_after_the_reset() -> None:
    device = torch.device("cpu")
    reset_peak_memory(device)
    before = peak_memory(device)
    if before is None:
        pytest.skip("this system does not say")
    block = torch.ones(16 * 2**20)  # 64 MiB, so large a block that it is given back at once
    during = peak_memory(device)
    del block
    reset_peak_memory(device)
    after = peak_memory(device)
    assert during is not None
    assert after is not None
    assert during - before > 48 * 2**20
    assert during - after > 48 * 2**20
