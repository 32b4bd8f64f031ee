"""A run can be used from any folder: its config has its paths in full."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from atrc.config import Config, Named, load_config, parse_config
from atrc.experiments import changed_keys, create_missing, create_retrain, create_search, create_train, execute_all
from atrc.experiments.paths import absolute_paths
from atrc.experiments.plan import plan_search, plan_train
from atrc.networks import build_backbone
from atrc.runs import RunDirectory, RunSpec
from searchspace import InputError

pytestmark = pytest.mark.usefixtures("no_plugin_left")

SPEC = """
name: squares
images: images/{id}.png
splits: {train: all.txt, val: all.txt}
size: [32, 48]
tasks:
  semseg: {file: "semseg/{id}.png", classes: [wall, door]}
  saliency: {from: semseg, positive: "> 0"}
"""

PLUGIN = """
from atrc.distillation import DISTILLATIONS, Distillation


@DISTILLATIONS.register("plain_of_a_plugin")
class Plain(Distillation):
    def __init__(self, channels):
        super().__init__()

    def forward(self, features, regions, valid=None):
        return dict(features)
"""

CONFIG = """
name: moved
plugins: [parts/mine.py]
dataset: {name: folder, root: pack, spec: squares.yaml}
tasks: [semseg, saliency]
backbone: {name: tiny, width: 0.25, weights: tiny.pth}
search: {steps: 2, batch_size: 2}
train: {steps: 2, batch_size: 2}
held_out: 0.5
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where a command is started: a plugin, a pack with its spec, weights, and a config."""
    monkeypatch.delenv("ATRC_DATA", raising=False)
    folder = tmp_path / "begun"
    (folder / "parts").mkdir(parents=True)
    (folder / "parts" / "mine.py").write_text(PLUGIN)
    (folder / "squares.yaml").write_text(SPEC)
    (folder / "config.yaml").write_text(CONFIG)
    rng = np.random.default_rng(0)
    for kind, shape, high in (("images", (32, 48, 3), 255), ("semseg", (32, 48), 2)):
        (folder / "pack" / kind).mkdir(parents=True)
        for index in range(4):
            pixels = rng.integers(0, high, shape, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "pack" / kind / f"{index}.png")
    (folder / "pack" / "all.txt").write_text("0\n1\n2\n3\n")
    backbone = build_backbone(parse_config(CONFIG, "x", ["backbone={name: tiny, width: 0.25}"]))
    torch.save(backbone.state_dict(), folder / "tiny.pth")
    monkeypatch.chdir(folder)
    (tmp_path / "elsewhere").mkdir()
    return folder


def atrc(folder: Path, *arguments: str, path: Path | None = None) -> str:
    """What a command says that is started in a folder."""
    library = os.environ.get("PYTHONPATH", "")
    environment = {**os.environ, "PYTHONPATH": f"{path}{os.pathsep}{library}" if path else library}
    command = [sys.executable, "-m", "atrc", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_command_works_from_another_folder(work: Path, tmp_path: Path) -> None:
    """The plugin, the spec, the pack and the weights of a run are found from anywhere."""
    runs = create_train(load_config("config.yaml"), ["plain_of_a_plugin", "single"], "runs")
    execute_all(runs[1:], quiet=True)
    create_search(load_config("config.yaml"), "runs")
    for command in (
        ("resume", "../begun/runs", "-q", "-j", "1"),
        ("retrain", "../begun/runs/search", "-q", "-j", "1"),
        ("evaluate", "../begun/runs", "-q"),
        ("resources", "../begun/runs/plain_of_a_plugin/seed0"),
        ("analyze", "../begun/runs", "-o", "analysis", "-q"),
    ):
        atrc(tmp_path / "elsewhere", *command)
    assert (work / "runs" / "retrain" / "seed0" / "result.json").exists()
    assert RunDirectory.open("runs/retrain/seed0").config == RunDirectory.open("runs/search/seed0").config


def test_what_a_run_keeps_is_in_full(work: Path) -> None:
    (run,) = create_search(load_config("config.yaml"), "runs")
    config = RunDirectory.open(run.path).config
    assert run.config == config
    assert config.plugins == [str(work / "parts/mine.py")]
    assert config.dataset.options == {"root": str(work / "pack"), "spec": str(work / "squares.yaml")}
    assert config.backbone.options["weights"] == str(work / "tiny.pth")


def test_an_experiment_goes_on_from_its_folder_and_from_others(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config("config.yaml")
    made = create_missing(plan_search(config, "runs"))
    assert [run.path for run in create_missing(plan_search(config, "runs"))] == [run.path for run in made]
    stored = load_config(str(work / "runs/search/seed0/config.yaml"))
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert create_missing(plan_search(stored, work / "runs"))[0].config == made[0].config
    (tmp_path / "link").symlink_to(work)
    linked = stored.model_copy(update={"plugins": [str(tmp_path / "link" / "parts" / "mine.py")]})
    assert changed_keys(made[0], linked) == []


def test_a_run_with_relative_paths_goes_on_as_before(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Earlier versions made such."""
    config = load_config("config.yaml")
    old = RunDirectory.create(Path("runs/search/seed0"), RunSpec("search", "search", 0), config)
    assert RunDirectory.open(old.path).config == config
    (found,) = create_missing(plan_search(config, "runs"))
    assert found.config == config
    execute_all([found], quiet=True)
    (retrained,) = create_retrain([found])
    assert retrained.config == absolute_paths(config)
    full = absolute_paths(config)
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"another config \(plugins, dataset, backbone changed\)"):
        create_missing(plan_search(full, work / "runs"))


def options(config: Config, **sections: Any) -> dict[str, Any]:
    """Options of a config's sections, with paths in full."""
    changed = config.model_copy(update={key: Named(**value) for key, value in sections.items()})
    full = absolute_paths(changed)
    return {key: getattr(full, key).options for key in sections}


def test_what_names_no_file_stays(work: Path, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("ccp").mkdir()
    Path("all-global").mkdir()
    spec = {"name": "a", "images": "{id}.png"}
    for dataset, expected in (
        ({"name": "folder", "root": "ccp", "spec": "ccp"}, {"root": str(work / "ccp"), "spec": "ccp"}),
        ({"name": "folder", "root": "pack", "spec": spec}, {"root": str(work / "pack"), "spec": spec}),
        ({"name": "nyud", "spec": "nyud"}, {"root": "NYUD_MT", "spec": "nyud"}),
        ({"name": "planted", "answer": {"a": {}}}, {"answer": {"a": {}}}),
        ({"name": "planted", "answer": "answer.yaml"}, {"answer": str(work / "answer.yaml")}),
        ({"name": "nobody_knows", "file": "x.csv"}, {"file": "x.csv"}),
    ):
        assert options(config, dataset=dataset) == {"dataset": expected}
    Path("PASCAL_MT").mkdir()
    assert options(config, dataset={"name": "pascal_context"})["dataset"] == {"root": str(work / "PASCAL_MT")}
    for genotype, full in (("all-global", "all-global"), ("g.json", str(work / "g.json"))):
        assert options(config, strategy={"name": "fixed", "genotype": genotype}) == {"strategy": {"genotype": full}}
    assert options(config, backbone={"name": "tiny", "branches": "~/tree.json"}) == {
        "backbone": {"branches": str(Path.home() / "tree.json")}
    }
    monkeypatch.setenv("ATRC_DATA", "/data")
    below = {"name": "folder", "root": "pack", "spec": "squares.yaml"}
    assert options(config, dataset=below)["dataset"] == {"root": "pack", "spec": str(work / "squares.yaml")}


@pytest.mark.parametrize(
    ("storage", "expected"),
    [
        ("sqlite:///study.db", "sqlite:///{work}/study.db"),
        ("sqlite+pysqlite:///a/study.db?timeout=9", "sqlite+pysqlite:///{work}/a/study.db?timeout=9"),
        ("sqlite:////abs/study.db", "sqlite:////abs/study.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("postgresql://host/name", "postgresql://host/name"),
    ],
)
def test_the_study_of_a_relative_url_is_found_again(work: Path, config: Config, storage: str, expected: str) -> None:
    found = options(config, strategy={"name": "optuna_tpe", "storage": storage})
    assert found["strategy"]["storage"] == expected.format(work=work)


def test_scorers_and_strategies_of_a_comparison_have_paths_too(work: Path, config: Config) -> None:
    compare = "{samples: 9, strategies: {a: {name: fixed, genotype: g.json}}}"
    overrides = ["trials.scorer={name: inherit, run: runs/search/seed0}", f"compare={compare}"]
    full = absolute_paths(parse_config(CONFIG, "x", overrides))
    assert full.trials.scorer.options == {"run": str(work / "runs/search/seed0")}
    assert full.compare is not None
    assert full.compare.strategies["a"].options == {"genotype": str(work / "g.json")}
    table = absolute_paths(parse_config(CONFIG, "x", ["trials.scorer={name: table, file: table.csv}"]))
    assert table.trials.scorer.options == {"file": str(work / "table.csv")}


OUTSIDE = """
from pathlib import Path

from atrc.data import Rooms


class Seeded(Rooms):
    "Rooms whose seed stands in a file."

    paths = ("seed_file",)

    def __init__(self, split, tasks, *, seed_file, **options):
        super().__init__(split, tasks, seed=int(Path(seed_file).read_text()), **options)

    @classmethod
    def describe(cls, *, seed_file="", **options):
        return Rooms.describe(**options)
"""

OUTSIDE_CONFIG = """
name: outside
dataset: {name: seeded_rooms, seed_file: seed.txt, size: [32, 48], train: 4, val: 2}
tasks: [depth]
backbone: {name: tiny, width: 0.25}
train: {steps: 2, batch_size: 2}
"""


def test_a_part_of_a_users_package_names_its_paths(tmp_path: Path) -> None:
    library, work, elsewhere = (tmp_path / name for name in ("library", "begun", "elsewhere"))
    for folder in (library / "outside-1.0.dist-info", work, elsewhere):
        folder.mkdir(parents=True)
    (library / "outside_rooms.py").write_text(OUTSIDE)
    (library / "outside-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n"
    )
    points = "[atrc.datasets]\nseeded_rooms = outside_rooms:Seeded\n"
    (library / "outside-1.0.dist-info" / "entry_points.txt").write_text(points)
    (work / "seed.txt").write_text("3")
    (work / "config.yaml").write_text(OUTSIDE_CONFIG)
    atrc(work, "train", "config.yaml", "-m", "multi", "-o", "runs", "-q", "-j", "1", path=library)
    kept = RunDirectory.open(work / "runs" / "multi" / "seed0").config
    assert kept.dataset.options["seed_file"] == str(work / "seed.txt")
    assert "depth" in atrc(elsewhere, "evaluate", "../begun/runs", "-q", path=library)


def test_planned_trainings_of_one_config_are_compared_in_full(work: Path) -> None:
    config = load_config("config.yaml")
    create_missing(plan_train(config, ["multi"], "runs"))
    other = load_config("config.yaml", ["dataset.root=./pack", "dataset.spec=../begun/squares.yaml"])
    (found,) = create_missing(plan_train(other, ["multi"], "runs"))
    assert found.config.dataset.options["root"] == str(work / "pack")
