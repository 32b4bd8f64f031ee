"""A run directory: what it says can be read by any program."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from atrc.config import Config
from atrc.data import Subset, content_hashes
from atrc.experiments import create_train
from atrc.runs import Result, RunDirectory, RunSpec
from atrc.setup import Setup
from atrc.training import execute


def strict(text: str) -> object:
    """What another program would read; NaN and Infinity are no JSON."""

    def refuse(word: str) -> None:
        raise ValueError(word)

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def run(config: Config, tmp_path: Path) -> RunDirectory:
    return RunDirectory.create(tmp_path / "run", RunSpec("train", "multi", 0), config)


def test_a_metric_that_is_none_is_null_in_the_file_and_nan_in_python(run: RunDirectory) -> None:
    run.write_result(Result({"semseg": math.nan, "depth": 0.5}, 1, 1, 1.0, 1, 1))
    assert strict((run.path / "result.json").read_text())["metrics"] == {"semseg": None, "depth": 0.5}  # type: ignore[index]
    metrics = RunDirectory.open(run.path).result().metrics
    assert math.isnan(metrics["semseg"])
    assert metrics["depth"] == 0.5


def test_every_line_of_a_log_is_json(run: RunDirectory) -> None:
    run.append("metrics.jsonl", {"step": 1, "loss": math.inf, "of": {"parts": [np.float64("nan"), 2.0]}})
    (line,) = (run.path / "metrics.jsonl").read_text().splitlines()
    assert strict(line) == {"step": 1, "loss": None, "of": {"parts": [None, 2.0]}}
    run.rewind(1, "metrics.jsonl")
    assert (run.path / "metrics.jsonl").read_text() == line + "\n"


def test_a_result_of_an_earlier_version_that_holds_nan_is_read(run: RunDirectory) -> None:
    run.write_result(Result({"semseg": math.nan}, 1, 1, 1.0, 1, 1))
    path = run.path / "result.json"
    path.write_text(path.read_text().replace("null", "NaN", 1))
    assert math.isnan(run.result().metrics["semseg"])


def test_a_result_says_what_was_learnt_from_and_measured_on(config: Config, tmp_path: Path) -> None:
    """Equal hashes of the same files, also in a run of one task; others where they were replaced."""
    config = config.model_copy(update={"train": config.train.model_copy(update={"steps": 1})})
    several, single = create_train(config, ["multi", "single-depth"], tmp_path)
    for run in (several, single):
        execute(run, quiet=True)
    first, alone = several.result().data, single.result().data
    assert set(first) == {"train", "val"}
    assert set(first["val"]) == {"image", *config.tasks}
    for split in first:
        assert {"image": first[split]["image"], "depth": first[split]["depth"]}.items() <= alone[split].items()
    dataset = Setup.of(config).split("val")
    assert content_hashes(dataset) == first["val"]
    assert content_hashes(Subset(dataset, range(len(dataset) - 1)))["image"] != first["val"]["image"]
