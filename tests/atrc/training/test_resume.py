"""Runs that are stopped, killed and resumed end with the same bits as runs that were not."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from atrc.config import Config
from atrc.data import BatchLoader
from atrc.experiments import create_search, create_train
from atrc.inference import open_run
from atrc.runs import RunDirectory
from atrc.runs.checkpoint import load_checkpoint, save_checkpoint
from atrc.training import Interrupted, execute
from searchspace import InputError


def final_state(run: RunDirectory) -> dict:
    return load_checkpoint(run.checkpoints / "last.pt")


def assert_same_bits(a: object, b: object, where: str = "state") -> None:
    assert type(a) is type(b), where
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            if key != "seconds":
                assert_same_bits(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same_bits(x, y, f"{where}[{i}]")
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    else:
        assert a == b, where


def numbers(run: RunDirectory, name: str) -> list[dict]:
    return [{k: v for k, v in line.items() if k != "seconds"} for line in run.lines(name)]


def test_a_killed_search_resumes_to_the_same_bits(config: Config, tmp_path: Path) -> None:
    """SIGKILL at a random moment, several times over, against a run that nobody disturbed.

    ATRC_TEST_SEED repeats the moments of a failure, as far as processes allow.
    """
    config = config.model_copy(update={"search": config.search.model_copy(update={"steps": 24})})
    (whole,) = create_search(config, tmp_path / "whole")
    execute(whole, quiet=True)
    (killed,) = create_search(config, tmp_path / "killed")
    seed = int(os.environ.get("ATRC_TEST_SEED", time.time_ns()))
    print(f"moments of ATRC_TEST_SEED={seed}")  # shown where the test fails
    dice = random.Random(seed)
    arguments = ["atrc", "resume", "-q", "-j", "1", str(killed.path)]
    code = f"import sys, torch; from atrc.cli import main; torch.set_num_threads(1); sys.argv = {arguments!r}; main()"
    deaths, killings = 0, 0
    while not killed.finished:
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if deaths < 3:
            early = deaths == 0  # so early that it cannot end before
            target = dice.randint(1, 6 if early else 23)
            wait_until(lambda target=target: logged_step(killed) >= target or killed.finished, process)
            time.sleep(dice.uniform(0, 0.05 if early else 0.2))
            process.send_signal(signal.SIGKILL)
            deaths += 1
        killings += process.wait() == -signal.SIGKILL
    assert killings > 0
    assert whole.genotype() == killed.genotype()
    assert_same_bits(final_state(whole), final_state(killed))
    assert whole.result().metrics == killed.result().metrics
    for name in ("metrics.jsonl", "architecture.jsonl"):
        assert numbers(whole, name) == numbers(killed, name)


def logged_step(run: RunDirectory) -> int:
    return max((line["step"] for line in run.lines("metrics.jsonl")), default=0)


def wait_until(condition, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 60
    while not condition() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)


def test_ctrl_c_leaves_a_run_that_resumes_to_the_same_bits(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (whole,) = create_train(config, ["all-t_label"], tmp_path / "whole")
    execute(whole, quiet=True)
    (stopped,) = create_train(config, ["all-t_label"], tmp_path / "stopped")
    interrupt_at_batch(monkeypatch, 3)
    with pytest.raises(Interrupted, match=r"stopped at step 3 of 6.*atrc resume"):
        execute(stopped, quiet=True)
    monkeypatch.undo()
    assert not stopped.finished
    execute(RunDirectory.open(stopped.path), quiet=True)
    assert_same_bits(final_state(whole), final_state(stopped))


def interrupt_at_batch(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """SIGINT while that batch is made."""
    batches = 0
    original = BatchLoader.batch

    def batch_then_signal(self: BatchLoader, step: int):
        nonlocal batches
        batches += 1
        if batches == number:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, step)

    monkeypatch.setattr(BatchLoader, "batch", batch_then_signal)


def test_same_seed_same_bits_other_seed_other_bits(config: Config, tmp_path: Path) -> None:
    runs = []
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        (run,) = create_train(config.model_copy(update={"seeds": [seed]}), ["multi"], tmp_path / folder)
        execute(run, quiet=True)
        runs.append(run)
    assert_same_bits(final_state(runs[0]), final_state(runs[1]))
    assert runs[0].result().metrics != runs[2].result().metrics


def test_a_checkpoint_cut_short_is_named_and_the_one_before_is_kept(tmp_path: Path) -> None:
    for step in (1, 2):
        save_checkpoint(tmp_path, {"step": step, "weights": torch.arange(10_000.0)})
    last = tmp_path / "last.pt"
    last.write_bytes(last.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"last\.pt is truncated or damaged.*previous\.pt"):
        load_checkpoint(last)
    assert load_checkpoint(tmp_path / "previous.pt")["step"] == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["last.pt", "previous.pt"]


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    torch.save({"weights": torch.zeros(3)}, path)
    with pytest.raises(InputError, match="not a checkpoint of this software"):
        load_checkpoint(path)
    path.write_text("hello")
    with pytest.raises(InputError, match="truncated or damaged"):
        load_checkpoint(path)


def test_a_run_whose_config_changed_on_its_way_is_refused(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run,) = create_search(config, tmp_path)
    interrupt_at_batch(monkeypatch, 4)
    with pytest.raises(Interrupted):
        execute(run, quiet=True)
    monkeypatch.undo()
    search = config.search.model_copy(update={"batch_size": 2})
    (run.path / "config.yaml").write_text(config.model_copy(update={"search": search}).to_yaml())
    with pytest.raises(InputError, match=r"has changed since it began: search\.batch_size was 4 and is 2"):
        execute(RunDirectory.open(run.path), quiet=True)
    (run.path / "config.yaml").write_text(config.model_copy(update={"log_every": 1, "workers": 0}).to_yaml())
    assert execute(RunDirectory.open(run.path), quiet=True).samples == 8 * 4


def test_a_search_that_an_earlier_version_left_goes_on(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its checkpoint had a learner in place of a search: what that held is loaded, and the same bits follow."""
    (whole,) = create_search(config, tmp_path / "whole")
    execute(whole, quiet=True)
    (stopped,) = create_search(config, tmp_path / "stopped")
    interrupt_at_batch(monkeypatch, 5)
    with pytest.raises(Interrupted):
        execute(stopped, quiet=True)
    monkeypatch.undo()
    saved = final_state(stopped)
    search, training = saved["search"], saved["search"]["training"]
    learner = {"network": training["supernet"], "optimizer": training["optimizer"], "strategy": search["strategy"]}
    spent = {"step": search["spent"]["steps"], "seconds": search["spent"]["seconds"]}
    old = {**spent, "learner": {**learner, "tasks": saved["tasks"]}, "generators": training["generators"]}
    save_checkpoint(stopped.checkpoints, old)
    assert open_run(stopped, "cpu").genotype is not None
    execute(RunDirectory.open(stopped.path), quiet=True)
    assert stopped.genotype() == whole.genotype()
    assert_same_bits(final_state(whole)["search"], final_state(stopped)["search"])
    assert stopped.result().samples == whole.result().samples


def test_a_checkpoint_of_another_network_is_one_line(config: Config, tmp_path: Path) -> None:
    (run,) = create_train(config.model_copy(update={"tasks": {"depth": {}}}), ["multi"], tmp_path)
    save_checkpoint(run.checkpoints, {"learner": {"network": {"other.weight": torch.zeros(1)}, "optimizer": {}}})
    with pytest.raises(
        InputError, match=r"last\.pt does not fit the network that this version builds from the run's config: .*"
    ):
        open_run(run, "cpu")


def test_run_directory_reads_without_this_software(config: Config, tmp_path: Path) -> None:
    (run,) = create_search(config, tmp_path)
    execute(run, quiet=True)
    names = {p.name for p in run.path.iterdir()}
    assert names == {
        *("architecture.jsonl", "checkpoints", "config.yaml", "environment.json", "genotype.json"),
        *("metrics.jsonl", "result.json", "run.json"),
    }
    result = json.loads((run.path / "result.json").read_text())
    assert result["samples"] == 8 * 4
    assert set(result["metrics"]) == {"semseg", "depth", "normals", "edge"}
    genotype = json.loads((run.path / "genotype.json").read_text())
    assert len(genotype["choices"]) == 16
    assert [line["step"] for line in run.lines("metrics.jsonl")] == [2, 4, 6, 8]
