"""``atrc evaluate --save-predictions`` on trained runs: the files say what the command says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from atrc.config import Config, load_config
from atrc.data.decode import read_label
from atrc.experiments import create_search, create_train
from atrc.runs import RunDirectory
from atrc.setup import Setup
from atrc.training import execute

from .conftest import Command

KINDS = {"semseg": "png", "depth": "npy", "normals": "npy", "edge": "png"}
IDS = [f"val_{index:05d}" for index in range(4)]


@pytest.fixture
def small(config_file: Path) -> Config:
    """Two steps are enough for a network whose predictions differ from image to image."""
    return load_config(str(config_file), ["train.steps=2", "search.steps=2"])


@pytest.fixture
def trained(small: Config, tmp_path: Path) -> RunDirectory:
    (run,) = create_train(small, ["multi"], tmp_path / "exp")
    execute(run, quiet=True)
    return run


def saved_map(folder: Path, task: str, entry: str) -> torch.Tensor:
    """A file as a batch of one map; 16 bits as probabilities."""
    array = read_label(folder / task / f"{entry}.{KINDS[task]}")
    if array.dtype == np.uint16:
        array = array.astype(np.float32) / 65535
    return torch.from_numpy(array.transpose(2, 0, 1) if array.ndim == 3 else array)[None].contiguous()


def test_files_score_as_the_run_does(atrc: Command, trained: RunDirectory, small: Config, tmp_path: Path) -> None:
    status, said, _ = atrc("evaluate", trained.path, "--save-predictions", "maps", "--json", "-q")
    assert status == 0
    (row,) = json.loads(said)
    # The run measured without saving: equal to the last bit.
    assert row["metrics"] == json.loads((trained.path / "result.json").read_text())["metrics"]

    dataset = Setup.of(small).split("val")
    for name, task in Setup.of(small).tasks.items():
        metric = task.metric()
        labels = [torch.from_numpy(sample.labels[name]) for sample in map(dataset.__getitem__, range(4))]
        batch = torch.stack([label.movedim(-1, 0) if label.ndim == 3 else label for label in labels])
        metric.update(torch.cat([saved_map(tmp_path / "maps", name, entry) for entry in IDS]), batch)
        # A probability beside a threshold may change sides when it is rounded to 16 bits.
        off = 0.5 if name == "edge" else 0
        assert float(metric.compute()) == pytest.approx(row["metrics"][name], abs=off, rel=0), name


def test_files_and_what_is_said(atrc: Command, trained: RunDirectory, tmp_path: Path) -> None:
    command = ("evaluate", trained.path, "--save-predictions", "maps", "-s", "evaluate_batch=3", "-s", "workers=1")
    status, said, shown = atrc(*command)
    assert status == 0
    assert said.endswith("predictions in maps\n")
    assert "evaluate" in shown, "a progress bar"
    wanted = sorted(f"maps/{task}/{entry}.{kind}" for task, kind in KINDS.items() for entry in IDS)
    files = sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "maps").rglob("*") if path.is_file())
    assert files == wanted
    assert "predictions in" not in atrc("evaluate", trained.path, "-q")[1]
    picture = Image.open(tmp_path / f"maps/semseg/{IDS[0]}.png")
    assert (picture.mode, picture.size) == ("P", (48, 32))
    before = picture.tobytes()
    (tmp_path / f"maps/semseg/{IDS[0]}.png").write_bytes(b"from an older evaluation")
    assert atrc(*command, "-q")[0] == 0
    assert Image.open(tmp_path / f"maps/semseg/{IDS[0]}.png").tobytes() == before


def test_runs_keep_apart(atrc: Command, trained: RunDirectory, small: Config, tmp_path: Path) -> None:
    """Of several runs, a search among them, each has its folder, and what it holds is that run's own."""
    (search,) = create_search(small, tmp_path / "exp")
    execute(search, quiet=True)
    assert atrc("evaluate", "exp", "--save-predictions", "maps", "-q")[0] == 0
    for run in ("multi/seed0", "search/seed0"):
        assert atrc("evaluate", f"exp/{run}", "--save-predictions", f"alone/{run}", "-q")[0] == 0
    files = {path.relative_to(tmp_path / "maps"): path.read_bytes() for path in (tmp_path / "maps").rglob("*.*")}
    alone = {path.relative_to(tmp_path / "alone"): path.read_bytes() for path in (tmp_path / "alone").rglob("*.*")}
    assert len(files) == 2 * 4 * 4
    assert files == alone
    name = f"depth/{IDS[0]}.npy"
    assert files[Path("multi/seed0") / name] != files[Path("search/seed0") / name]


def test_a_file_is_no_folder(atrc: Command, trained: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "maps").write_text("something else")
    for place, reason in (("maps", "maps is a file"), ("maps/inner", "cannot be written")):
        status, said, shown = atrc("evaluate", trained.path, "--save-predictions", place, "-q")
        assert (status, said) == (2, "")
        assert shown.startswith("atrc: ")
        assert shown.count("\n") == 1
        assert reason in shown
    assert (tmp_path / "maps").read_text() == "something else"
