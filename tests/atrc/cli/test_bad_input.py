"""Whatever a user gets wrong is one clear line on stderr and exit status 2: no traceback, nothing half made."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from atrc.config import Config
from atrc.experiments import create_train
from atrc.runs import RunDirectory
from atrc.training import execute
from searchspace import CPSpace

from .conftest import Command

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def atrc(atrc: Command) -> Run:
    """Runs a command line in an empty folder; gives its exit status and what it said on stderr."""

    def call(*arguments: str | Path) -> tuple[int, str]:
        said = atrc(*arguments)
        return said.status, said.err

    return call


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A folder dataset of four images with a class map each, and its config."""
    generator = np.random.default_rng(0)
    root = tmp_path / "pack"
    for folder in ("images", "semseg"):
        (root / folder).mkdir(parents=True)
    for name in "abcd":
        Image.fromarray(generator.integers(0, 255, (40, 48, 3), dtype=np.uint8)).save(root / f"images/{name}.png")
        Image.fromarray(generator.integers(0, 3, (40, 48), dtype=np.uint8)).save(root / f"semseg/{name}.png")
    (root / "train.txt").write_text("a\nb\n")
    (root / "val.txt").write_text("c\nd\n")
    spec = {
        "name": "pack",
        "images": "images/{id}.png",
        "splits": {"train": "train.txt", "val": "val.txt"},
        "size": [40, 48],
        "tasks": {"semseg": {"file": "semseg/{id}.png", "classes": 3}},
    }
    (root / "spec.yaml").write_text(yaml.safe_dump(spec))
    config = {
        "name": "pack-run",
        "dataset": {"name": "folder", "spec": str(root / "spec.yaml"), "root": str(root)},
        "tasks": ["semseg"],
        "backbone": {"name": "tiny", "width": 0.25},
        "train": {"steps": 2, "batch_size": 2},
    }
    (root / "config.yaml").write_text(yaml.safe_dump(config))
    return root


def assert_refused(result: tuple[int, str], *parts: str) -> None:
    status, said = result
    said = "\n".join(line for line in said.split("\n") if "\r" not in line)  # without progress bars
    assert status == 2, said
    assert said.startswith("atrc: ")
    assert said.count("\n") == 1, f"more than one line: {said}"
    assert "Traceback" not in said
    for part in parts:
        assert part in said


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["serch", "demo"], ["serch", "search"]),
        (["search", "dmeo"], ["unknown preset 'dmeo'", "did you mean 'demo'"]),
        (["search", "missing.yaml"], ["missing.yaml does not exist"]),
        (["search", "demo", "-s", "serch.steps=3"], ["unknown key 'serch'", "'search'"]),
        (["search", "demo", "-s", "search.stesp=3"], ["unknown key 'search.stesp'", "'steps'"]),
        (["search", "demo", "-s", "search.steps=-3"], ["search.steps", "greater than 0", "-3"]),
        (["search", "demo", "-s", "search.steps"], ["not of the form key=value"]),
        (["search", "demo", "-s", "tasks=[semseg, dept]"], ["unknown task 'dept'", "'depth'"]),
        (["search", "demo", "-s", "strategy.name=gumble"], ["unknown strategy 'gumble'", "'gumbel_entropy'"]),
        (["search", "demo", "-s", "strategy.tau=3"], ["strategy 'gumbel_entropy'", "'tau'"]),
        (["search", "demo", "-s", "strategy.freeze=gaps"], ["freeze criterion 'gaps'", "'gap'"]),
        (["search", "demo", "-s", "strategy.name=random", "-s", "strategy.lr=1"], ["strategy 'random'", "'lr'"]),
        (["search", "demo", "-s", "strategy={name: asha, eta: 1}"], ["eta must be a whole number >= 2", "got 1"]),
        (
            ["search", "demo", "-s", "strategy={name: random}", "-s", "trials.scorer.name=tabel"],
            ["unknown scorer 'tabel'", "did you mean 'table'"],
        ),
        (
            ["search", "demo", "-s", "strategy.name=random", "-s", "trials.scorer.name=table"],
            ["no table has the dataset, networks and training of config 'demo'", "give the file of one"],
        ),
        (
            ["search", "demo", "-s", "strategy.name=random", "-s", "trials.scorer={name: table, file: gone.csv}"],
            ["gone.csv cannot be read: it does not exist"],
        ),
        (["search", "demo", "-s", "cost.measure=flops"], ["unknown measure of cost 'flops'", "multiply_adds"]),
        (["search", "demo", "-s", "strategy={name: nni_darts}", "-s", "cost={}"], ["'nni_darts' takes no cost"]),
        (["search", "demo", "-s", "held_out=1.5"], ["held_out", "less than 1", "1.5"]),
        (["compare", "demo"], ["config 'demo' has no section 'compare'"]),
        (["compare", "compare_rooms", "-s", "compare.samples=8"], ["compare.samples=8", "fewer than compare.points"]),
        (
            ["compare", "compare_rooms", "-s", "compare.strategies=[darts, evolutoin]"],
            ["unknown strategy 'evolutoin'", "did you mean 'evolution'"],
        ),
        (["compare", "compare_rooms", "-s", "compare.strategies={a b: {name: darts}}"], ["label", "'a b'"]),
        (["search", "demo", "-s", "backbone.name=tinny"], ["unknown backbone 'tinny'", "'tiny'"]),
        (["search", "demo", "-s", "dataset.name=room"], ["unknown dataset 'room'", "'rooms'"]),
        (["search", "demo", "-s", "space.name=cpp"], ["unknown space 'cpp'", "'cp'"]),
        (["search", "demo", "-s", "model.contexts={local: {border: wrap}}"], ["border rule 'wrap'", "mask"]),
        (["search", "demo", "-s", "plugins=[nowhere.py]"], ["nowhere.py", "does not exist"]),
        (["search", "demo", "-s", "backbone.weights=no.pth"], ["no.pth"]),
        (["search", "demo", "-s", "device=cuda:7"], ["device 'cuda:7'"]),
        (["search", "demo", "--seeds", "0,0"], ["seeds"]),
        (["train", "demo", "-m", "al-global"], ["model 'al-global'"]),
        (["train", "demo", "-m", "pad_d"], ["model 'pad_d'", "did you mean 'pad_"]),
        (["train", "demo", "-m", "atrc"], ["distillation module 'atrc'", "'genotype'"]),
        (
            ["train", "demo", "-m", "pap", "-s", "model.distillations={pap: {step: 3}}"],
            ["option 'step'", "did you mean 'steps'"],
        ),
        (["train", "demo", "-m", "all-globl"], ["genotype 'all-globl'", "'all-global'"]),
        (["train", "demo", "-m", "single-dept"], ["unknown task 'dept'", "'depth'"]),
        (["train", "demo", "-m", "none.json"], ["none.json"]),
        (["retrain", "nowhere"], ["nowhere"]),
        (["resume", "nowhere"], ["nowhere"]),
        (["evaluate", "nowhere"], ["nowhere"]),
        (["analyze", "nowhere"], ["nowhere"]),
        (["report", "nowhere"], ["nowhere"]),
        (["analyze", "nowhere", "--formats", "png,sgv"], ["unknown format 'sgv' (--formats)", "did you mean 'svg'"]),
        (["analyze", "nowhere", "--formats", ","], ["--formats: none was given", "pdf, png, svg"]),
        (["report", "nowhere", "--formats", "jpeg"], ["unknown format 'jpeg' (--formats)", "known: pdf, png, svg"]),
        (["attention", "nowhere", "--formats", "pgn"], ["unknown format 'pgn' (--formats)", "did you mean 'png'"]),
        (["experiment", "demo", "--formats", "pgn"], ["unknown format 'pgn' (--formats)", "did you mean 'png'"]),
        (["compare", "compare_rooms", "--formats", "pgn"], ["unknown format 'pgn' (--formats)"]),
        (["importance", "nowhere"], ["nowhere"]),
        (["attention", "nowhere"], ["nowhere is not a run directory"]),
        (["predict", "nowhere", "image.jpg"], ["nowhere is not a run directory"]),
        (["resources", "demo", "--size", "10x20"], ["--size"]),
        (["resources"], ["--table"]),
        (["resources", "demo", "--json", "--csv"], ["--json", "--csv"]),
        (["resources", "--table", "9"], ["'9'", "1, 2"]),
        (["data", "preview", "ccp", "-s", "dataset.root=gone"], ["gone"]),
    ],
    ids=lambda value: " ".join(value) if value and value[0][0] != "u" else None,
)
def test_one_line_and_status_2(atrc: Run, arguments: list[str], parts: list[str], tmp_path: Path) -> None:
    assert_refused(atrc(*arguments), *parts)
    assert not list(tmp_path.rglob("run.json")), "a run directory was made for a run that cannot start"


def test_genotype_for_other_tasks(atrc: Run, tmp_path: Path) -> None:
    other = CPSpace(["semseg", "saliency"]).uniform("global")
    (tmp_path / "other.json").write_text(json.dumps(other.to_json()))
    assert_refused(atrc("train", "demo", "-m", "other.json"), "saliency")


def test_existing_run_directory(atrc: Run, config: Config, config_file: Path, tmp_path: Path) -> None:
    create_train(config, ["multi"], tmp_path / "runs/tiny-test")
    assert_refused(atrc("train", config_file, "-m", "multi", "-q"), "already exists", "atrc resume")


@pytest.fixture
def trained(config: Config, tmp_path: Path) -> RunDirectory:
    (run,) = create_train(config, ["multi"], tmp_path / "made")
    execute(run, quiet=True)
    return run


def test_images_and_checkpoints_of_a_trained_run(atrc: Run, trained: RunDirectory, tmp_path: Path) -> None:
    assert_refused(atrc("predict", trained.path, "gone.jpg"), "gone.jpg: no such file")
    (tmp_path / "text.jpg").write_text("no picture")
    Image.fromarray(np.linspace(0, 65535, 64).reshape(8, 8).astype(np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray(np.zeros((15000, 13000), np.uint8)).save(tmp_path / "huge.png")
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "good.png")
    for name, reason in (("text.jpg", "cannot identify"), ("deep.png", "mode I;16"), ("huge.png", "exceeds limit")):
        assert_refused(atrc("predict", trained.path, "good.png", name), f"{name}: not readable as image", reason)
    assert not (tmp_path / "predictions").exists()
    assert_refused(
        atrc("importance", trained.path),
        "has context-pooling blocks",
        "baselines and networks of other spaces have none",
    )
    assert_refused(atrc("attention", trained.path), "no context-pooling blocks")
    assert_refused(atrc("analyze", trained.path, "--by", "strategy.nme", "-o", "out"), "'strategy.nme'", "'name'")
    assert not (tmp_path / "out").exists()
    last = trained.checkpoints / "last.pt"
    last.write_bytes(last.read_bytes()[:4000])
    assert_refused(atrc("evaluate", trained.path, "-q"), "last.pt is truncated or damaged")


def test_label_maps_of_a_users_dataset(atrc: Run, pack: Path, tmp_path: Path) -> None:
    command = ("train", pack / "config.yaml", "-m", "multi", "-q", "-j", "1")
    Image.fromarray(np.full((40, 48), 7, dtype=np.uint8)).save(pack / "semseg/b.png")
    assert_refused(atrc(*command, "-o", "one"), "b.png", "7")
    Image.fromarray(np.zeros((30, 48), dtype=np.uint8)).save(pack / "semseg/b.png")
    assert_refused(atrc(*command, "-o", "two"), "b.png", "30", "40")
    (pack / "semseg/b.png").unlink()
    assert_refused(atrc(*command, "-o", "three"), "b.png")


def test_status_of_the_installed_command(tmp_path: Path) -> None:
    """The whole process, as a shell sees it."""
    command = [sys.executable, "-m", "atrc", "search", "dmeo"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
