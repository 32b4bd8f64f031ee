"""What runs share in a process, and what no run's clock may see."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import Tensor

import atrc
from atrc.config import Config
from atrc.costs import count_multiply_adds
from atrc.data import Dataset, Folder, content, content_hashes
from atrc.data.labelled import fit_task
from atrc.data.planted import picture
from atrc.engines import Processes
from atrc.experiments import create_search, create_train
from atrc.runs import RunDirectory, find_runs
from atrc.runs.checkpoint import load_checkpoint
from atrc.setup import Setup
from atrc.tasks import Task

KERNELS = sorted(Path(atrc.__file__).parent.rglob("*.c"))


def of_every_kind(config: Config, folder: Path) -> list[RunDirectory]:
    """Two trainings, a one-shot search with a second stage, and a search by trials."""
    model = config.model.model_copy(update={"dropout": 0.1})
    tasks = {"normals": {"centroids": 8}, "edge": {"thresholds": 5}}
    trials = config.trials.model_copy(update={"steps": 2, "images": 3, "recalibration": 4})
    small = config.model_copy(update={"model": model, "tasks": tasks, "trials": trials})
    runs = create_train(small.model_copy(update={"seeds": [0, 1]}), ["multi"], folder)
    for named in ({"name": "spos", "final_trials": 2, "population": 2, "parents": 1}, {"name": "random"}):
        strategy = config.strategy.model_validate(named)
        runs += create_search(small.model_copy(update={"strategy": strategy}), folder / str(named["name"]))
    return runs


def outcome(run: RunDirectory) -> dict[str, Any]:
    """Everything that a run left, apart from seconds and memory."""
    result = vars(run.result())
    left: dict[str, Any] = {key: result[key] for key in result if key not in ("seconds", "peak_memory")}
    for name in ("metrics.jsonl", "trials.jsonl", "architecture.jsonl"):
        left[name] = [{key: line[key] for key in line if key != "seconds"} for line in run.lines(name)]
    checkpoint = run.checkpoints / "last.pt"
    left["tensors"] = tensors(load_checkpoint(checkpoint)) if checkpoint.exists() else []
    return left


def tensors(state: Any) -> list[list[float]]:
    """All tensors of a checkpoint, generators included, as numbers."""
    if isinstance(state, Tensor):
        return [state.double().flatten().tolist()]
    parts = state.values() if isinstance(state, dict) else state if isinstance(state, list | tuple) else ()
    return [found for part in parts for found in tensors(part)]


def test_a_run_does_not_depend_on_those_before_it_in_its_process(config: Config, tmp_path: Path) -> None:
    """Two workers do the same runs: what is the first of a fresh process in one is the last in the other."""
    found = []
    for name, turn in (("there", 1), ("back", -1)):
        runs = of_every_kind(config, tmp_path / name)
        with Processes(1) as engine:
            path = "atrc.experiments._execute:execute_path"
            jobs = [engine.submit(path, path=str(run.path), slot=None, jobs=1, quiet=True) for run in runs[::turn]]
        assert [job.exception() for job in jobs] == [None] * len(runs)
        found.append({str(run.path.relative_to(tmp_path / name)): outcome(run) for run in runs})
    assert len(found[0]) == 4
    assert found[0] == found[1]


@pytest.mark.parametrize("command", [["train", "--model", "all-local", "--jobs", "2"], ["search", "--jobs", "1"]])
def test_kernels_are_compiled_once_and_before_any_clock(tmp_path: Path, command: list[str]) -> None:
    """A compiler that takes two seconds shows in the seconds of no run."""
    real, log = shutil.which("cc"), tmp_path / "compiled"
    if real is None:
        pytest.skip("no C compiler")
    (tmp_path / "bin").mkdir()
    slow = tmp_path / "bin" / "cc"
    slow.write_text(f'#!/bin/sh\necho "$*" >> {log}\ncase "$*" in *kernel.c*) sleep 2;; esac\nexec {real} "$@"\n')
    slow.chmod(0o755)
    settings = ("dataset.train=20", "dataset.val=4", "train.steps=2", "train.batch_size=4", "search.steps=2")
    options = [word for setting in settings for word in ("--set", setting)]
    place = {"PATH": f"{slow.parent}{os.pathsep}{os.environ['PATH']}", "ATRC_CACHE": str(tmp_path / "cache")}
    subprocess.run(
        [sys.executable, "-m", "atrc", command[0], "planted2", *command[1:], *options, "--seeds", "0,1", "--quiet"],
        env={**{key: value for key, value in os.environ.items() if key != "CC"}, **place},
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    assert len(log.read_text().splitlines()) == len(KERNELS)
    seconds = [run.result().seconds for run in find_runs([tmp_path / "runs"])]
    assert len(seconds) == 2
    assert max(seconds) < 2


def test_multiply_adds_are_counted_once(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []

    def counting(network: Any, size: tuple[int, int]) -> int:
        counted.append(type(network).__name__)
        return count_multiply_adds(network, size)

    monkeypatch.setattr("atrc.setup.count_multiply_adds", counting)
    monkeypatch.setattr("atrc.setup._COUNTED", {})
    numbers: dict[str, set[int]] = {}
    wide = config.model_copy(update={"backbone": config.backbone.model_validate({"name": "tiny", "width": 0.5})})
    for seed, settings in ((0, config), (1, config), (0, wide)):
        setup = Setup.of(settings.model_copy(update={"seeds": [seed]}))
        for model in ("multi", "single-depth", "all-local", "all-global"):
            genotype = setup.genotype(model)
            network = setup.network(model, genotype)
            number = setup.multiply_adds(network, model, genotype)
            assert number == count_multiply_adds(network, setup.info.size)
            numbers.setdefault(model, set()).add(number)
    assert len(counted) == 8
    assert [len(found) for found in numbers.values()] == [2] * 4


class Counted(Task):
    """Learns the mean of its labels."""

    name = "counted"
    draws = False
    keeps = True

    def __init__(self, start: float = 0.0) -> None:
        self.mean, self.fits = torch.tensor(start), 0

    def fit(self, labels: Iterable[np.ndarray], cache: Path) -> None:
        self.fits += 1
        self.mean = self.mean + float(np.mean([label.mean() for label in labels]))
        if self.draws:
            torch.rand(1)

    def state_dict(self) -> dict[str, Tensor]:
        return {"mean": self.mean.clone()} if self.keeps else {}

    def load_state_dict(self, state: Any) -> None:
        self.mean = state["mean"].clone()


Counted.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]  # nothing else is asked of it


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("atrc.data.labelled._FITTED", {})
    (tmp_path / "train.txt").write_text("0\n1\n")
    for index in range(2):
        Image.fromarray(np.full((8, 8, 3), 90, np.uint8)).save(tmp_path / f"image_{index}.png")
        Image.fromarray(np.full((8, 8), 1 + index, np.uint8)).save(tmp_path / f"depth_{index}.png")
    spec = {"name": "mine", "splits": {"train": "train.txt"}, "images": "image_{id}.png", "size": [8, 8]}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({**spec, "tasks": {"depth": {"file": "depth_{id}.png"}}}))
    return tmp_path


def opened(folder: Path, **options: Any) -> Folder:
    return Folder("train", ["depth"], root=folder, spec=folder / "mine.yaml", **options)


def fitted(folder: Path, start: float = 0.0, options: Any = None, **changes: Any) -> Counted:
    task = Counted(start)
    vars(task).update(changes)
    fit_task("depth", task, options or {}, opened(folder))
    return task


def test_a_task_is_fitted_once_to_the_same_labels(folder: Path) -> None:
    first, second = fitted(folder), fitted(folder)
    assert (first.fits, second.fits) == (1, 0)
    assert first.mean == second.mean == 1.5


def test_a_task_is_fitted_again_if_anything_differs(folder: Path) -> None:
    fitted(folder)
    assert fitted(folder, options={"centroids": 3}).fits == 1
    other = fitted(folder, start=1.0)  # as if it had read another file
    assert (other.fits, float(other.mean)) == (1, 2.5)
    Image.fromarray(np.full((8, 8), 6, np.uint8)).save(folder / "depth_1.png")
    changed = fitted(folder)
    assert (changed.fits, float(changed.mean)) == (1, 3.5)


@pytest.mark.parametrize("change", [{"draws": True}, {"keeps": False}])
def test_a_fit_that_leaves_more_than_its_state_is_made_every_time(folder: Path, change: dict[str, bool]) -> None:
    assert [fitted(folder, **change).fits for _ in range(2)] == [1, 1]


def test_the_source_of_a_folder_is_known_by_its_cache_alone(folder: Path) -> None:
    assert opened(folder).source == opened(folder).source is not None
    assert opened(folder, cached=False).source is None


def test_pictures_do_not_depend_on_how_many_are_drawn_at_once(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"name": "planted", "answer": {"a": {"b": "local"}, "b": {}}, "train": 31, "val": 4}
    planted = config.model_copy(
        update={"dataset": config.dataset.model_validate(options), "tasks": {"a": {}, "b": {}}}
    )

    def pictures(at_once: int) -> np.ndarray:
        monkeypatch.setattr(picture, "_AT_ONCE", at_once)
        sys.modules["atrc.data.planted.dataset"]._pictures.cache_clear()
        train = Setup.of(planted).split("train")
        return np.stack([train[index].image for index in range(len(train))])

    assert np.array_equal(pictures(7), pictures(100))


def test_hashes_of_a_split_follow_its_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are taken once, and again if a file changes: one of the dataset, or the array that was made from it."""
    computed: list[str] = []
    original = content._hashes

    def counting(dataset: Dataset, samples: int) -> dict[str, str]:
        computed.append(dataset[0].id)
        return original(dataset, samples)

    monkeypatch.setattr(content, "_hashes", counting)
    first, again = content_hashes(opened(folder)), content_hashes(opened(folder))
    assert first == again
    assert len(computed) == 1
    Image.fromarray(np.full((8, 8), 9, np.uint8)).save(folder / "depth_0.png")
    changed = content_hashes(opened(folder))
    assert (changed["image"], len(computed)) == (first["image"], 2)
    assert changed["depth"] != first["depth"]
    held = opened(folder)
    (array,) = (path for path in held.info.cache.glob("*-depth-*/array.npy"))
    np.save(array, np.load(array) + 1)
    assert content_hashes(opened(folder))["depth"] not in (changed["depth"], first["depth"])
    assert content_hashes(opened(folder, cached=False)) == changed
