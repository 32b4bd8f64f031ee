"""Commands on a folder of runs of several kinds and tasks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from atrc.config import Config
from atrc.experiments import create_search, create_train, execute_all
from atrc.runs import RunDirectory

from .conftest import Command

SHORT = {"steps": 2, "batch_size": 2}


def changed(config: Config, *tasks: str, **sections: Any) -> Config:
    """A config of other tasks, of two steps."""
    short = {name: getattr(config, name).model_copy(update=SHORT) for name in ("search", "train")}
    options = {task: config.tasks[task] for task in tasks}
    return Config.model_validate({**config.model_dump(), **short, "tasks": options, **sections})


@pytest.fixture
def runs(config: Config, tmp_path: Path) -> list[RunDirectory]:
    """A search by trials, and networks of other tasks, none of which began."""
    by_trials = changed(config, "depth", strategy="random", trials={"steps": 1, "images": 2, "number": 1})
    return [
        *create_search(by_trials, tmp_path / "mixed" / "trials"),
        *create_train(changed(config, "edge"), ["multi"], tmp_path / "mixed" / "edge"),
        *create_train(changed(config, "edge", "semseg"), ["multi"], tmp_path / "mixed" / "both"),
    ]


def test_resume_shows_the_tasks_of_all_runs(atrc: Command, runs: list[RunDirectory]) -> None:
    said = atrc("resume", "mixed", "-q", "-j", "1")
    assert said.status == 0, said.err
    assert all(run.finished for run in runs)
    head = said.out.splitlines()[0]
    assert [task for task in ("depth", "edge", "semseg") if task in head] == ["depth", "edge", "semseg"]


def test_a_run_that_cannot_be_continued_stops_no_other(atrc: Command, runs: list[RunDirectory]) -> None:
    """Its plugin is gone; it is the first of them."""
    config = runs[2].path / "config.yaml"
    config.write_text(config.read_text().replace("plugins: []", "plugins: [gone.py]"))
    said = atrc("resume", "mixed/edge", "mixed/both", "-q")
    assert said.status == 2
    assert "1 of 2 runs failed: mixed/both/multi/seed0: plugin file" in said.err
    assert runs[1].finished


def test_evaluate_names_what_has_no_network_and_measures_the_rest(
    atrc: Command, runs: list[RunDirectory], tmp_path: Path
) -> None:
    searched, trained, unfinished = runs
    execute_all([searched, trained], quiet=True)
    said = atrc("evaluate", "mixed", "-q", "--json")
    assert said.status == 0, said.err
    (row,) = json.loads(said.out)
    assert row["run"] == "mixed/edge/multi/seed0"
    assert said.err.splitlines() == [
        f"left out: run {unfinished.path.relative_to(tmp_path)} has no checkpoint yet; start it with: "
        f"atrc resume {unfinished.path.relative_to(tmp_path)}",
        f"left out: run {searched.path.relative_to(tmp_path)} is a search by trials, which keeps no network; "
        "train its genotype with: atrc retrain",
    ]
    alone = atrc("evaluate", "mixed/trials", "-q")
    assert (alone.status, alone.out) == (2, "")
    assert "is a search by trials, which keeps no network; train its genotype with: atrc retrain" in alone.err
