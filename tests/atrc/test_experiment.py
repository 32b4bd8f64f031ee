"""Planning the runs of an experiment, and executing them."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

from atrc.config import Config, load_config
from atrc.data import DATASETS
from atrc.experiments import Checks, create_search, create_train, default_jobs, execute_all, run_memory
from atrc.experiments._jobs import PIXEL_MEMORY
from atrc.runs import RunDirectory, find_runs
from atrc.runs.checkpoint import load_checkpoint
from atrc.runs.names import run_path
from searchspace import InputError

PUBLISHED = Path(__file__).parents[2] / "runs" / "published"


def test_a_model_has_one_folder_however_it_is_written(config: Config, tmp_path: Path) -> None:
    (run,) = create_train(config, ["all-t-label"], tmp_path)
    assert run.path == run_path(tmp_path, "all-t-label", 0) == run_path(tmp_path, "all-t_label", 0)


def test_runs_are_created_all_or_none(config: Config, tmp_path: Path) -> None:
    create_train(config, ["multi"], tmp_path)
    with pytest.raises(InputError, match="already exists; continue it with: atrc resume"):
        create_train(config, ["baselines"], tmp_path)
    assert [found.spec.model for found in find_runs([tmp_path])] == ["multi"]


def experiment(config: Config, folder: Path, seeds: list[int], **changes: Any) -> list[RunDirectory]:
    """Trainings of one task, of two steps."""
    train = config.train.model_copy(update={"steps": 2})
    update = {"tasks": {"depth": {}}, "train": train, "seeds": seeds, **changes}
    return create_train(config.model_copy(update=update), ["multi"], folder)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_that_fails_ends_no_other(
    config: Config, tmp_path: Path, jobs: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither one that is refused nor one that fails in a way that nobody thought of."""
    runs = experiment(config, tmp_path, [0, 1, 2, 3])
    runs[1].checkpoints.mkdir()
    (runs[1].checkpoints / "last.pt").write_bytes(b"no checkpoint")
    (runs[2].path / "metrics.jsonl").mkdir()
    with pytest.raises(InputError) as caught:
        execute_all(runs, jobs=jobs, quiet=True)
    assert [run.finished for run in runs] == [True, False, False, True]
    message = str(caught.value)
    assert message.startswith("2 of 4 runs failed: ")
    assert f"{runs[1].path}: checkpoint {runs[1].checkpoints / 'last.pt'} is truncated or damaged" in message
    assert f"{runs[2].path}: IsADirectoryError: " in message
    assert len(message.splitlines()) == 1
    said = capfd.readouterr().err
    assert f"\n{runs[1].path}: checkpoint" in said
    assert "Traceback" in said  # of what is no mistake of the user's


@pytest.mark.parametrize("jobs", [1, 2])
def test_data_that_is_gone_fails_its_runs(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("")
    runs = [*experiment(config, tmp_path, [0, 1]), *experiment(config, tmp_path / "other", [0], plugins=["mine.py"])]
    (tmp_path / "mine.py").unlink()
    mine = str(tmp_path / "mine.py")
    (name,) = [name for name, module in list(sys.modules.items()) if getattr(module, "__file__", None) == mine]
    sys.modules.pop(name)
    with pytest.raises(InputError, match=r"^1 of 3 runs failed: .*other/multi/seed0: plugin file .* does not exist$"):
        execute_all(runs, jobs=jobs, quiet=True)
    assert [run.finished for run in runs] == [True, True, False]


def test_a_worker_that_is_killed_fails_its_run(config: Config, tmp_path: Path) -> None:
    (tmp_path / "deadly.py").write_text(f"import os\nif os.getpid() != {os.getpid()}: os.kill(os.getpid(), 9)\n")
    runs = experiment(config, tmp_path, [0, 1])
    (deadly,) = experiment(config, tmp_path / "other", [0], plugins=[str(tmp_path / "deadly.py")])
    with pytest.raises(InputError, match=r"^1 of 3 runs failed: .*/other/.*: its process was killed by SIGKILL$"):
        execute_all([deadly, *runs], jobs=2, quiet=True)
    assert [run.finished for run in runs] == [True, True]


def test_a_run_has_the_same_bits_whatever_runs_beside_it(config: Config, tmp_path: Path) -> None:
    """A search and a training of seed 0: alone in this process, and in worker processes among others."""
    both = config.model_copy(update={"seeds": [0, 1]})
    alone = [*create_search(config, tmp_path / "alone"), *create_train(config, ["multi"], tmp_path / "alone")]
    among = [*create_search(both, tmp_path / "among"), *create_train(both, ["multi"], tmp_path / "among")]
    torch.set_num_threads(2)  # as a library call on two cores would find it
    execute_all(alone, jobs=1, quiet=True)
    assert torch.get_num_threads() == 2
    execute_all(among, jobs=2, quiet=True)
    for run in alone:
        other = RunDirectory.open(run_path(tmp_path / "among", run.spec.model, 0))
        one, two = (load_checkpoint(each.checkpoints / "last.pt") for each in (run, other))
        assert differences(one, two) == []
        assert run.result().metrics == other.result().metrics


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Where two checkpoints differ in anything but seconds."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        return [found for key in one for found in differences(one[key], other[key], f"{where}.{key}")]
    if isinstance(one, list | tuple):
        return differences(dict(enumerate(one)), dict(enumerate(other)), where)
    same = torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
    return [] if same or "seconds" in where else [where]


def test_a_plain_script_needs_no_guard(config_file: Path, tmp_path: Path) -> None:
    """Nor `Path`: it begins once, and its runs are executed, one at a time or two."""
    assert config_file == tmp_path / "tiny.yaml"
    (tmp_path / "script.py").write_text(
        textwrap.dedent("""
        from atrc.config import load_config
        from atrc.experiments import create_train, execute_all, execute_experiment
        print("begun")
        config = load_config("tiny.yaml", ["search.steps=2", "train.steps=2", "tasks={depth: {}}"])
        execute_experiment(config, "one", ["multi"], quiet=True)
        both = config.model_copy(update={"seeds": [0, 1]})
        execute_all(create_train(both, ["multi"], "two"), jobs=2, quiet=True)
        """)
    )
    command = [sys.executable, "script.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout) == (0, "begun\n"), done.stderr
    finished = [sum(run.finished for run in find_runs([tmp_path / folder])) for folder in ("one", "two")]
    assert finished == [3, 2]  # a search, its network and a baseline; two seeds of one


class TestDefaultJobs:
    """Cores by threads of a run, and free memory by what a run takes."""

    @pytest.fixture(autouse=True)
    def machine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Eight cores and much memory."""
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
        self.put_memory(monkeypatch, 2**40)

    @staticmethod
    def put_memory(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=free))

    @pytest.mark.parametrize(("threads", "jobs"), [(1, 8), (2, 4), (3, 2), (8, 1), (100, 1)])
    def test_threads(self, config: Config, threads: int, jobs: int) -> None:
        assert default_jobs(config.model_copy(update={"device": "cpu", "threads": threads})) == jobs

    @pytest.mark.parametrize(("runs", "jobs"), [(0.5, 1), (1.5, 1), (3.5, 3), (20, 8)])
    def test_memory(self, config: Config, monkeypatch: pytest.MonkeyPatch, runs: float, jobs: int) -> None:
        config = config.model_copy(update={"device": "cpu"})
        self.put_memory(monkeypatch, int(runs * run_memory(config)))
        assert default_jobs(config) == jobs

    def test_larger_batches_and_images_take_more(self, config: Config) -> None:
        larger = config.train.model_copy(update={"batch_size": 400})
        sizes = [config, config.model_copy(update={"train": larger})]
        assert run_memory(sizes[1]) - run_memory(sizes[0]) == PIXEL_MEMORY * 32 * 48 * 396

    def test_a_dataset_of_a_plugin(self, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is there before anything else of the config was built."""
        monkeypatch.setattr(DATASETS, "_entries", dict(DATASETS._entries))
        (tmp_path / "my_rooms.py").write_text(
            textwrap.dedent("""
            from atrc.data import DATASETS

            @DATASETS.register("my_rooms")
            class MyRooms(DATASETS["rooms"]):
                pass
            """)
        )
        update = {"plugins": [str(tmp_path / "my_rooms.py")], "device": "cpu"}
        mine = config.dataset.model_copy(update={"name": "my_rooms"})
        assert default_jobs(config.model_copy(update={**update, "dataset": mine})) == 8

    def test_no_published_run_takes_more_than_the_estimate(self) -> None:
        """And it is no wild guess: the search that takes most comes near it."""
        found = [run for run in find_runs([PUBLISHED]) if run.result().peak_memory is not None]
        assert len(found) > 100
        shares = [run.result().peak_memory / run_memory(run.config) for run in found]
        assert 0.9 < max(shares) <= 1


@pytest.mark.parametrize(("overrides", "said"), [([], True), (["backbone={name: hrnet18}"], False)])
def test_a_backbone_that_should_have_weights_and_has_none_is_named(
    overrides: list[str], said: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, before the first step; a config that asks for none needs no word."""
    Checks().config(load_config("nyud_hrnet18", overrides))
    lines = [line for line in capsys.readouterr().err.splitlines() if "random weights" in line]
    assert len(lines) == said
    assert all("-s backbone.weights=FILE" in line for line in lines)
