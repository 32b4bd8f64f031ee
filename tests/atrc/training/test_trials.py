"""Searches by every use of data: what they take, that they resume to the same bits, and how genotypes are scored."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch

from atrc.build import build_dataset, cp_space
from atrc.config import Config
from atrc.data import BatchLoader, hold_out
from atrc.experiment import create_search
from atrc.runs import RunDirectory
from atrc.training import Interrupted, execute, load_learner
from atrc.training.memory import peak_memory, reset_peak_memory
from searchspace import InputError

KNOBS = {
    "darts": {},
    "enas": {"hidden": 8},
    "spos": {"final_trials": 5, "population": 2, "parents": 1},
    "random": {},
    "successive_halving": {"eta": 2, "min_budget": 0.5},
}


def small(config: Config, name: str, **changes: Any) -> Config:
    """Two tasks, one strategy, trials of three steps."""
    search = config.search.model_copy(update={"steps": changes.pop("steps", 6)})
    strategy = config.strategy.model_validate({"name": name, **KNOBS[name]})
    trials = config.trials.model_copy(update={"steps": 2, "images": 4, **changes})
    tasks = {"depth": {}, "edge": {"thresholds": 5}}
    return config.model_copy(update={"tasks": tasks, "search": search, "strategy": strategy, "trials": trials})


def searched(config: Config, folder: Path) -> RunDirectory:
    (run,) = create_search(config, folder)
    execute(run, quiet=True)
    return run


@pytest.mark.parametrize(("name", "samples"), [("darts", 48), ("enas", 48), ("spos", 24), ("random", 24)])
def test_what_a_search_takes(config: Config, tmp_path: Path, name: str, samples: int) -> None:
    """Six steps of four images: twice as many where a held-out batch is learnt from as well."""
    run = searched(small(config, name), tmp_path)
    result = run.result()
    assert result.samples == samples
    assert result.peak_memory is None or result.peak_memory > 2**20
    space = cp_space(run.config)
    genotype = run.genotype()
    assert genotype is not None
    space.validate(genotype)
    assert set(result.metrics) == (set() if name == "random" else {"depth", "edge"})


def test_trials_are_logged_with_what_they_took(config: Config, tmp_path: Path) -> None:
    run = searched(small(config, "successive_halving", steps=9), tmp_path)
    lines = list(run.lines("trials.jsonl"))
    # eta 2: two trials of half a training of 2 steps, then the better one with all of it: 4 + 4 + 8 images of 36.
    assert [line["budget"] for line in lines[:3]] == [0.5, 0.5, 1.0]
    assert [line["samples"] for line in lines[:3]] == [4, 8, 16]
    best = max(lines[:2], key=lambda line: line["score"])
    assert lines[2]["genotype"] == best["genotype"]
    assert run.result().samples == lines[-1]["samples"] <= 36
    assert run.result().steps == len(lines)


def test_the_last_stage_of_spos_names_the_best_that_it_scored(config: Config, tmp_path: Path) -> None:
    run = searched(small(config, "spos"), tmp_path)
    lines = list(run.lines("trials.jsonl"))
    assert len(lines) == 5
    genotype = run.genotype()
    assert genotype is not None
    assert dict(genotype) == max(lines, key=lambda line: line["score"])["genotype"]
    loaded = load_learner(run, torch.device("cpu"))
    assert loaded.genotype() == genotype


@pytest.mark.parametrize("name", ["darts", "enas", "spos", "random"])
def test_a_stopped_search_resumes_to_the_same_outcome(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    settings = small(config, name)
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
    with pytest.raises(InputError, match="a budget of 4 images does not allow one trial of 2 steps"):
        searched(small(config, "random", steps=1), tmp_path)


def test_a_study_lies_in_the_run(config: Config, tmp_path: Path) -> None:
    settings = small(config, "random").model_copy(
        update={"strategy": config.strategy.model_validate({"name": "optuna_tpe"})}
    )
    run = searched(settings, tmp_path)
    study = optuna.load_study(study_name="seed0", storage=f"sqlite:///{run.path / 'study.db'}")
    told = [line["score"] for line in run.lines("trials.jsonl")]
    assert [trial.value for trial in study.trials if trial.value is not None] == told


def test_a_charged_search_by_trials_counts_cost(config: Config, tmp_path: Path) -> None:
    plain = small(config, "random")
    settings = plain.model_copy(update={"cost": plain.model_validate({**plain.model_dump(), "cost": {}}).cost})
    run = searched(settings, tmp_path)
    for line in run.lines("trials.jsonl"):
        # `none` everywhere is not among three random genotypes; any other costs something.
        assert line["cost"] > 0


def test_a_search_by_trials_has_no_network_to_load(config: Config, tmp_path: Path) -> None:
    run = searched(small(config, "random"), tmp_path)
    with pytest.raises(InputError, match="keeps no network"):
        load_learner(run, torch.device("cpu"))


# -- held-out data --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "held"), [(0.5, 6), (0.01, 1), (0.99, 11)])
def test_what_is_held_out_and_the_rest_are_the_whole(config: Config, share: float, held: int) -> None:
    whole = build_dataset(config, "train")
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
    block = torch.ones(64 * 2**20)  # 256 MiB
    during = peak_memory(device)
    del block
    reset_peak_memory(device)
    after = peak_memory(device)
    assert during is not None
    assert after is not None
    assert during - before > 200 * 2**20
    assert after < during
