"""The two benchmark packs from the command line: training, evaluation, and files that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from packs import write_nyud, write_pascal

from .conftest import Command

SMALL = ["backbone={name: tiny, width: 0.25}", "train.steps=2", "train.batch_size=2", "evaluate_batch=2", "workers=0"]
SETTINGS = ["-j", "1", *(argument for setting in SMALL for argument in ("-s", setting))]


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ATRC_CACHE", str(tmp_path / "cache"))


def test_pascal_context_trains_and_evaluates_all_five_tasks(atrc: Command, tmp_path: Path) -> None:
    """Images of several sizes, padded; every map is measured and saved at its image's size."""
    pack = write_pascal(tmp_path / "PASCAL_MT", train=3, val=2, sizes=((37, 50), (50, 33)))
    options = ["-m", "multi", "--seeds", "0", "-s", "tasks.edge.thresholds=5", *SETTINGS]
    assert atrc("train", "pascal_hrnet18", "--data", pack, *options).status == 0
    run = Path("runs/pascal_hrnet18/multi/seed0")
    result = json.loads((run / "result.json").read_text())
    assert list(result["metrics"]) == ["semseg", "human_parts", "saliency", "normals", "edge"]
    assert result["skipped"] == {}

    status, out, _ = atrc("evaluate", run, "--json", "--save-predictions", "maps")
    assert status == 0
    assert json.loads(out)[0]["metrics"] == result["metrics"]
    normals = [np.load(file).shape for file in sorted(Path("maps/normals").iterdir())]
    assert normals == [(37, 50, 3), (50, 33, 3)]


def test_a_broken_pack_ends_before_a_run_is_made(atrc: Command, tmp_path: Path) -> None:
    pack = write_nyud(tmp_path / "NYUD_MT", train=4, val=2, size=(34, 45))
    command = ["train", "nyud_hrnet18", "-m", "single-depth", "--seeds", "0", "--data", pack, *SETTINGS]
    size = ["-s", "dataset.size=[34, 45]"]
    status, _, said = atrc(*command)
    assert status == 2
    assert "image is 34 x 45, those of NYUD-v2 are 425 x 560" in said

    (pack / "depth" / "train0001.npy").unlink()
    (pack / "depth" / "val0000.npy").write_text("no array")
    for bad in ("train0001.npy: no such file", "val0000.npy: not readable"):
        status, _, said = atrc(*command, *size)
        assert status == 2
        last = said.strip().splitlines()[-1]
        assert last.startswith("atrc: ")
        assert bad in last
        assert not Path("runs").exists()
        if bad.startswith("train"):
            (pack / "gt_sets" / "train.txt").write_text("train0000\ntrain0002\ntrain0003\n")


def test_bad_samples_are_left_out_and_listed(atrc: Command, tmp_path: Path) -> None:
    pack = write_nyud(tmp_path / "NYUD_MT", train=4, val=2, size=(34, 45))
    (pack / "depth" / "train0001.npy").unlink()
    (pack / "depth" / "val0000.npy").write_text("no array")
    models = ["-m", "single-edge", "-m", "single-depth", "--seeds", "0"]
    options = ["--data", pack, "--skip-bad", "-s", "dataset.size=[34, 45]", *SETTINGS]
    status, out, _ = atrc("train", "nyud_hrnet18", *models, *options)
    assert status == 0
    assert "left out: train train0001" in out
    assert "left out: val val0000" in out
    runs = Path("runs/nyud_hrnet18")
    skipped = json.loads((runs / "single-depth/seed0/result.json").read_text())["skipped"]
    assert [list(skipped[split]) for split in ("train", "val")] == [["train0001"], ["val0000"]]
    assert "val0000.npy: not readable as label" in skipped["val"]["val0000"]
    assert json.loads((runs / "single-edge/seed0/result.json").read_text())["skipped"] == {}

    status, out, _ = atrc("evaluate", runs / "single-depth", "--json")
    assert status == 0
    assert list(json.loads(out)[0]["skipped"]) == ["val0000"]

    status, out, _ = atrc("data", "check", "nyud_hrnet18", "--data", pack, "-s", "dataset.size=[34, 45]", "--json")
    problems = json.loads(out)["problems"]
    assert status == 2
    assert [problem["id"] for problem in problems if problem["severity"] == "error"] == ["train0001", "val0000"]
