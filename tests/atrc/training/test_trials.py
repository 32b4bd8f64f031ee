"""Searches by every use of data: what they take, that they resume to the same bits, and how genotypes are scored."""

from __future__ import annotations

import csv
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch

from atrc.build import build_dataset, build_tasks, cp_space, describe_dataset
from atrc.config import Config
from atrc.data import BatchLoader, hold_out
from atrc.experiment import create_search
from atrc.network import SearchNetwork
from atrc.runs import RunDirectory
from atrc.training import Interrupted, execute, load_learner
from atrc.training.memory import peak_memory, reset_peak_memory
from atrc.training.scoring import SCORERS, Setting
from atrc.training.scoring._inherit import recalibrate
from atrc.machine.stopping import Stop
from searchspace import InputError
from strategies import Trial

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


# -- scorers --------------------------------------------------------------------------------------------------------


def setting(config: Config) -> Setting:
    tasks = build_tasks(config, describe_dataset(config))
    rest, out = hold_out(build_dataset(config, "train", tasks), config.held_out)
    return Setting(config, 0, torch.device("cpu"), tasks, rest, out, Stop())


def test_training_scores_the_same_trial_the_same(config: Config) -> None:
    settings = small(config, "random")
    scorer = SCORERS.create("train", {}, setting(settings))
    genotype = cp_space(settings).uniform("global")
    one, again = (scorer.score(Trial(3, genotype)) for _ in range(2))
    other = scorer.score(Trial(4, genotype))
    assert one == again
    assert one.value != other.value
    assert one.samples == scorer.samples(Trial(3, genotype)) == 2 * 4
    assert scorer.samples(Trial(3, genotype, 0.5)) == 4


def test_inherited_weights_score_without_training(config: Config, tmp_path: Path) -> None:
    settings = small(config, "spos")
    run = searched(settings, tmp_path)
    scorer = SCORERS.create("inherit", {"run": str(run.path)}, setting(settings))
    before = [p.clone() for p in scorer.network.parameters()]
    genotypes = [cp_space(settings).sample(random.Random(seed)) for seed in range(2)]
    first = [scorer.score(Trial(0, genotype)).value for genotype in genotypes]
    assert [scorer.score(Trial(0, genotype)).value for genotype in genotypes] == first  # nothing is left behind
    assert all(torch.equal(p, q) for p, q in zip(scorer.network.parameters(), before, strict=True))


def test_recalibrated_statistics_are_those_of_the_batches(config: Config, tmp_path: Path) -> None:
    """The first batch norm that sees the image: its running mean is the mean over the batches."""
    settings = small(config, "spos")
    network = load_learner(searched(settings, tmp_path), torch.device("cpu")).network
    assert isinstance(network, SearchNetwork)
    given = setting(settings)
    batches = list(given.held_out_batches())
    norm = next(m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d))
    means: list[torch.Tensor] = []
    hook = norm.register_forward_pre_hook(lambda _, args: means.append(args[0].mean((0, 2, 3))))
    recalibrate(network, cp_space(settings).uniform("global"), batches, torch.device("cpu"))
    hook.remove()
    torch.testing.assert_close(norm.running_mean, torch.stack(means).mean(0))
    assert norm.momentum is not None
    assert not network.training


def test_inheriting_from_what_has_no_supergraph(config: Config, tmp_path: Path) -> None:
    settings = small(config, "random")
    run = searched(settings, tmp_path)
    with pytest.raises(InputError, match="keeps no network"):
        SCORERS.create("inherit", {"run": str(run.path)}, setting(settings))


def write_table(path: Path, config: Config, seeds: int = 2, **extra: str) -> Path:
    space = cp_space(config)
    with path.open("w", newline="") as file:
        rows = csv.DictWriter(file, [*space, "score", *extra])
        rows.writeheader()
        for genotype in space.enumerate():
            for seed in range(seeds):
                score = sum(option == "global" for option in genotype.values()) + 0.1 * seed
                rows.writerow({**genotype, "score": score, **extra})
    return path


def test_a_table_is_searched_without_training(config: Config, tmp_path: Path) -> None:
    settings = small(config, "random", steps=400)
    scorer = config.trials.scorer.model_validate({"name": "table", "file": str(tmp_path / "table.csv")})
    settings = settings.model_copy(
        update={
            "trials": settings.trials.model_copy(update={"scorer": scorer}),
            "strategy": config.strategy.model_validate({"name": "local_search"}),
        }
    )
    write_table(tmp_path / "table.csv", settings)
    run = searched(settings, tmp_path / "runs")
    genotype = run.genotype()
    assert genotype is not None
    assert set(genotype.values()) == {"global"}
    lines = list(run.lines("trials.jsonl"))
    assert len(lines) == 400 * 4 // (2 * 4)  # as many as the same number of trainings would have been
    assert max(line["score"] for line in lines) == pytest.approx(4.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("score", "points", 1), "has no column 'score'"),
        (lambda text: text.replace("global", "globl", 1), "line .*globl"),
        (lambda text: "", "has no column"),
        (lambda text: text.replace("0.1", "good", 1), "line .*good"),
    ],
)
def test_a_broken_table_is_named_with_its_line(
    config: Config, tmp_path: Path, change: Callable[[str], str], message: str
) -> None:
    settings = small(config, "random")
    path = write_table(tmp_path / "table.csv", settings)
    path.write_text(change(path.read_text()))
    with pytest.raises(InputError, match=message):
        SCORERS.create("table", {"file": str(path)}, setting(settings))


def test_a_genotype_that_a_table_lacks(config: Config, tmp_path: Path) -> None:
    settings = small(config, "random")
    path = write_table(tmp_path / "table.csv", settings, budget="0.5")
    scorer = SCORERS.create("table", {"file": str(path)}, setting(settings))
    genotype = cp_space(settings).uniform("local")
    assert scorer.score(Trial(0, genotype, 0.5)).samples == 4
    with pytest.raises(InputError, match=r"no row for .* with budget 1"):
        scorer.score(Trial(0, genotype))


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
