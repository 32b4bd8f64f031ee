"""The commands on a tiny experiment: what they leave behind, and parts that a user adds from outside the tree."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from atrc.config import load_config, preset_names
from atrc.experiments import execute_experiment
from atrc.runs import find_runs
from searchspace import load_genotype
from strategies import STRATEGIES

from .conftest import Command

Out = Callable[..., str]


@pytest.fixture
def atrc(atrc: Command) -> Out:
    """Runs a command line in an empty folder, expects success, and gives what it printed."""

    def call(*arguments: str | Path) -> str:
        said = atrc(*arguments)
        assert said.status == 0, said.err
        return said.out

    return call


def test_a_whole_experiment_side_by_side(config_file: Path, tmp_path: Path) -> None:
    """Two seeds, two processes: searches, retraining, baselines; a second call only looks."""
    changed = ["train.steps=3", "tasks={depth: {}, edge: {thresholds: 5}}", "seeds=[0, 1]"]
    config = load_config(str(config_file), changed)
    execute_experiment(config, tmp_path / "exp", jobs=2, quiet=True)
    groups = {run.spec.model for run in find_runs([tmp_path / "exp"])}
    assert groups == {"search", "retrain", "multi", "single-depth", "single-edge"}
    for seed in (0, 1):
        found = load_genotype(tmp_path / f"exp/search/seed{seed}/genotype.json")
        assert load_genotype(tmp_path / f"exp/retrain/seed{seed}/genotype.json") == found
    before = {run.path: (run.path / "result.json").stat().st_mtime_ns for run in find_runs([tmp_path / "exp"])}
    execute_experiment(config, tmp_path / "exp", quiet=True)
    assert before == {
        run.path: (run.path / "result.json").stat().st_mtime_ns for run in find_runs([tmp_path / "exp"])
    }


def test_train_evaluate_and_predict(atrc: Out, config_file: Path, tmp_path: Path) -> None:
    atrc("train", config_file, "-m", "all-local", "-q", "-s", "train.steps=2", "-o", "exp")
    run = tmp_path / "exp/all-local/seed0"
    (evaluated,) = json.loads(atrc("evaluate", run, "-q", "--json"))
    assert evaluated["metrics"] == json.loads((run / "result.json").read_text())["metrics"]
    picture = np.random.default_rng(0).integers(0, 255, (75, 53, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "photo.png")
    atrc("predict", run, "photo.png", "-o", "maps", "-q")
    names = sorted(path.name for path in (tmp_path / "maps").iterdir())
    assert names == [f"photo_{task}.png" for task in ("depth", "edge", "normals", "semseg")]
    assert all(Image.open(tmp_path / "maps" / name).size == (53, 75) for name in names)
    _photographs(atrc, run, tmp_path)
    _importance_attention_and_report(atrc, run, tmp_path)


def _photographs(atrc: Out, run: Path, folder: Path) -> None:
    """They are turned as their camera says, and memory does not grow with their number."""
    turned = Image.fromarray(np.zeros((40, 80, 3), np.uint8))
    exif = turned.getexif()
    exif[0x0112] = 6  # stored lying, shown standing
    turned.save(folder / "turned.jpg", exif=exif)
    atrc("predict", run, "turned.jpg", "-o", "turned", "-q")
    assert {Image.open(path).size for path in (folder / "turned").iterdir()} == {(40, 80)}
    names = [f"large{number}.png" for number in range(16)]
    for name in names:
        Image.fromarray(np.zeros((600, 600, 3), np.uint8)).save(folder / name)

    def peak(photographs: list[str]) -> int:
        tracemalloc.start()
        atrc("predict", run, *photographs, "-o", f"of{len(photographs)}", "-q")
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(names) < peak(names[:2]) + 5 * 600 * 600 * 3


def _importance_attention_and_report(atrc: Out, run: Path, folder: Path) -> None:
    """What is asked of a trained network with context-pooling blocks."""
    rows = json.loads(atrc("importance", run, "--permutations", "2", "-q", "--json"))
    assert len(rows) == 16
    kept = pd.read_csv(run / "importance.csv")
    assert kept.groupby(["target", "source"])["drop"].mean().sum() == pytest.approx(sum(row["drop"] for row in rows))
    atrc("attention", run, "photo.png", "--pixel", "74,52", "-t", "edge", "--source", "depth", "-o", "maps")
    table = pd.read_csv(folder / "maps/attention.csv")
    assert set(table["context"]) == {"local"}
    assert table["weight"].sum() == pytest.approx(1, abs=1e-5)
    assert "report/report.html" in atrc("report", "exp", "-q")
    html = (folder / "report/report.html").read_text()
    assert "Predictions beside the ground truth" in html, "networks are run"
    assert "no finished search" in html


def test_search_at_a_fixed_genotype(atrc: Out, config_file: Path, tmp_path: Path) -> None:
    atrc("search", config_file, "-q", "-s", "strategy={name: fixed, genotype: all-s-label}", "-o", "exp")
    genotype = load_genotype(tmp_path / "exp/search/seed0/genotype.json")
    assert genotype["semseg<-depth"] == "s_label"
    assert genotype["depth<-depth"] == "t_label"


OWN_PARTS = '''
import torch
from torch import nn

from atrc.backbones import BACKBONES, Backbone
from atrc.contexts import CONTEXTS, Context
from atrc.tasks import TASKS, Depth


@TASKS.register("inverse_depth")
class InverseDepth(Depth):
    """Depth under another name."""

    name = "inverse_depth"


@CONTEXTS.register("mean")
class Mean(Context):
    """The source's mean value, everywhere."""

    def forward(self, target, source, density):
        v = self.value(source).mean((2, 3), keepdim=True)
        return v.expand(-1, -1, *target.shape[2:])


@BACKBONES.register("pools")
class Pools(Backbone):
    """One convolution at four scales."""

    channels = (8, 8, 8, 8)

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, stride=4)

    def forward(self, image):
        maps = [self.stem(nn.functional.pad(image, (0, -image.shape[3] % 4, 0, -image.shape[2] % 4)))]
        for _ in range(3):
            maps.append(nn.functional.avg_pool2d(maps[-1], 2, ceil_mode=True))
        return maps
'''

OWN_DATASET = '''
import numpy as np

from atrc.data import DATASETS, Dataset, DatasetInfo, Sample


@DATASETS.register("ramps")
class Ramps(Dataset):
    """Grey ramps whose depth is their brightness."""

    def __init__(self, split, tasks):
        self.info = self.describe()
        self.tasks = list(tasks)

    @classmethod
    def describe(cls):
        return DatasetInfo("ramps", {"inverse_depth": {}, "semseg": {"classes": 2}}, (32, 32))

    def __len__(self):
        return 8

    def __getitem__(self, index):
        ramp = np.tile(np.linspace(1, 4, 32, dtype=np.float32), (32, 1)) * (1 + index / 8)
        labels = {"inverse_depth": ramp, "semseg": (ramp > 3).astype(np.uint8)}
        image = np.repeat((ramp * 30).astype(np.uint8)[..., None], 3, axis=2)
        return Sample(str(index), image, {t: labels[t] for t in self.tasks})
'''


def test_a_users_own_task_dataset_backbone_and_context(atrc: Out, tmp_path: Path) -> None:
    """Each is one file outside the tree, named under ``plugins``."""
    (tmp_path / "own_parts.py").write_text(OWN_PARTS)
    (tmp_path / "own_dataset.py").write_text(OWN_DATASET)
    (tmp_path / "own.yaml").write_text(
        """
name: own
plugins: [own_parts.py, own_dataset.py]
dataset: {name: ramps}
tasks: [inverse_depth, semseg]
backbone: {name: pools}
space: {name: cp, contexts: [none, mean, global]}
search: {steps: 3, batch_size: 2}
train: {steps: 3, batch_size: 2}
"""
    )
    atrc("search", "own.yaml", "-q", "-j", "1")
    atrc("retrain", "runs/own/search", "-q", "-j", "1")
    (run,) = find_runs([tmp_path / "runs/own/retrain"])
    assert set(run.result().metrics) == {"inverse_depth", "semseg"}
    options = json.loads((run.path / "genotype.json").read_text())["choices"].values()
    assert set(options) <= {"none", "mean", "global"}


def test_strategies_side_by_side(atrc: Out, config_file: Path, tmp_path: Path) -> None:
    """A comparison of two strategies; a second call only looks."""
    section = "compare={samples: 28, points: 1, strategies: {dsnas: {lr: 0.1}, random: {}}}"
    small = ("-s", "tasks={depth: {}, edge: {thresholds: 5}}", "-s", "train.steps=2", "-s", "trials.steps=2")
    formats = ("--formats", "PNG, pdf")
    command = ("compare", config_file, "-s", section, "-s", "cost={}", *small, *formats, "-o", "cmp", "-q", "-j", "1")
    said = atrc(*command)
    lines = said.splitlines()
    assert lines[0].split()[:1] == ["strategy"]
    assert {line.split()[0] for line in lines[1:3]} == {"dsnas", "random"}
    assert "No two of the 2 strategies differ" in said
    made = {path.name for path in (tmp_path / "cmp/comparison").iterdir()}
    assert {"table.csv", "points.csv", "tests.csv", "anytime.pdf", "pareto.png", "hypervolume.csv"} <= made
    assert "anytime.svg" not in made
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("result.json")}
    assert atrc(*command) == said
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("result.json")} == before


def test_an_experiment_with_a_multi_trial_strategy(atrc: Out, config_file: Path, tmp_path: Path) -> None:
    tasks = "tasks={depth: {}, edge: {thresholds: 5}}"
    random = ("-s", "strategy={name: random}", "-s", "trials.steps=2", "-s", "train.steps=2")
    said = atrc("experiment", config_file, "--seeds", "0,1", "-s", tasks, *random, "-o", "exp", "-q", "-j", "1")
    lines = said.splitlines()
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
    assert [row[0] for row in rows] == 2 * ["single", "multi", "search", "retrain"]  # metrics, and cost
    assert [row[1] for row in rows] == 8 * ["2"]
    results = [json.loads((tmp_path / f"exp/single-edge/seed{seed}/result.json").read_text()) for seed in (0, 1)]
    edge = [result["metrics"]["edge"] for result in results]
    assert rows[0][3] == f"{np.mean(edge):.3f} ±{np.std(edge, ddof=1):.3f}"
    assert rows[0][4] == "0.00 ±–", "Delta_m of what it is measured against"
    assert len([line for line in lines if line.startswith("Agreement of 2 searches: ")]) == 1
    assert list((tmp_path / "exp/analysis").rglob("*.png"))
    assert (tmp_path / "exp/search/seed0/trials.jsonl").exists()


def first_words(said: str) -> set[str]:
    return {line.split()[0] for line in said.splitlines() if not line.startswith(" ")}


def test_lists_and_data_commands(atrc: Out, config_file: Path, tmp_path: Path) -> None:
    names = {row["name"] for row in json.loads(atrc("strategies", "--json"))}
    assert names == set(STRATEGIES)
    assert first_words(atrc("strategies")) >= {"fixed", "gumbel_entropy", "random"}
    assert first_words(atrc("presets")) >= set(preset_names())
    (contexts,) = [line.split() for line in atrc("registry").splitlines() if "atrc.contexts " in line]
    assert contexts[2:4] == ["atrc.contexts", "global,"]
    atrc("data", "preview", config_file, "-n", "2", "-o", "sheet.png")
    assert np.asarray(Image.open(tmp_path / "sheet.png")).std() > 20
    checked = atrc("data", "check", config_file).splitlines()[-1]
    assert checked == "Rooms: 12 train, 4 val samples can be read; 0 errors"
    rows = json.loads(atrc("resources", config_file, "--json"))["rows"]
    assert rows[-1]["network"] == "search supergraph"
    assert sum(part["parameters"] for part in rows[-1]["parts"].values()) == rows[-1]["parameters"]
    table = pd.read_csv(io.StringIO(atrc("resources", config_file, "--csv")))
    assert table["backbone_parameters"].tolist() == [row["parts"]["backbone"]["parameters"] for row in rows]
