"""Reading runs: what the table holds, what is counted apart, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import load_runs
from analysis.load import Runs, once
from analysis.notes import notes
from searchspace import CPSpace, InputError

from .conftest import ATRC, MULTI, TASKS, Write, of


def test_a_row_per_finished_run(write: Write, tmp_path: Path) -> None:
    genotype = CPSpace(TASKS).uniform("global")
    write("retrain", 1, of(ATRC), genotype=genotype)
    write("multi", 0, of(MULTI), seconds=12.5)
    write("single-depth", 0, {"depth": 0.61})
    runs = load_runs([tmp_path])
    assert list(runs.frame["model"]) == ["single-depth", "multi", "retrain"]
    multi = runs.frame.iloc[1]
    assert (multi["experiment"], multi["kind"], multi["seed"]) == ("demo", "train", 0)
    assert multi["semseg"] == 36.35
    assert (multi["samples"], multi["seconds"], multi["parameters"]) == (800, 12.5, 1_000_000)
    assert np.isnan(runs.frame.iloc[0]["semseg"])
    assert runs.genotypes == {str(tmp_path / "demo/retrain/seed1"): genotype}


def test_one_path_is_enough_and_paths_may_be_strings(write: Write, tmp_path: Path) -> None:
    run = write("multi", 0, of(MULTI))
    for paths in (tmp_path, str(tmp_path), [str(tmp_path)]):
        assert list(load_runs(paths).directories) == [str(run.path)]


def test_tasks_carry_their_own_facts(write: Write, tmp_path: Path) -> None:
    write("multi", 0, of(MULTI))
    tasks = load_runs([tmp_path]).tasks
    assert tuple(tasks) == TASKS
    assert tasks["depth"].label == "RMSE [m] ↓"
    assert tasks["semseg"].label == "mIoU [%] ↑"


def test_unfinished_runs_are_named(write: Write, tmp_path: Path) -> None:
    write("multi", 0, of(MULTI))
    left = write("multi", 1, None)
    runs = load_runs([tmp_path])
    assert runs.unfinished == (left.path,)
    assert len(runs.frame) == 1
    first = notes(runs)[0]
    assert first.startswith("1 unfinished run left out")
    assert str(left.path) in first


def test_only_unfinished_runs(write: Write, tmp_path: Path) -> None:
    write("multi", 0, None)
    with pytest.raises(InputError, match="atrc resume"):
        load_runs([tmp_path])


def test_no_runs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no runs found"):
        load_runs([tmp_path])


def test_different_tasks_are_refused_by_name(write: Write, tmp_path: Path) -> None:
    write("multi", 0, of(MULTI))
    write("multi", 0, of(MULTI[:2], TASKS[:2]), experiment="two", tasks=TASKS[:2])
    with pytest.raises(InputError, match=r"demo/multi/seed0 has semseg, depth, normals, edge; .*two/multi/seed0"):
        load_runs([tmp_path])


def test_a_run_reached_twice_counts_once(write: Write, tmp_path: Path) -> None:
    run = write("multi", 0, of(MULTI))
    assert len(load_runs([tmp_path, run.path]).frame) == 1


def test_the_same_seed_twice_is_refused(write: Write, tmp_path: Path) -> None:
    write("multi", 0, of(MULTI))
    (tmp_path / "demo/multi/seed0").rename(tmp_path / "demo/multi/first")
    write("multi", 0, of(MULTI))
    with pytest.raises(InputError, match="counts twice"):
        load_runs([tmp_path])


def test_folders_with_one_config_name_stay_apart(write: Write, tmp_path: Path) -> None:
    write("multi", 0, of(MULTI))
    (tmp_path / "demo").rename(tmp_path / "yesterday")
    write("multi", 0, of(ATRC))
    runs = load_runs([tmp_path])
    assert len(runs.experiments) == 2
    assert set(runs.configs.values()) == {"demo"}


def test_notes_name_a_config_that_commands_take(write: Write, tmp_path: Path) -> None:
    write("multi", 0, of(MULTI))
    mine = write("multi", 0, of(MULTI), experiment="mine")
    told = "\n".join(notes(load_runs([tmp_path])))
    assert "atrc search demo" in told, "a preset"
    assert f"atrc search {mine.path / 'config.yaml'}" in told


def test_what_was_found_once_is_kept_with_the_runs(write: Write, tmp_path: Path) -> None:
    write("multi", 0, of(MULTI))
    runs, others, calls = load_runs([tmp_path]), load_runs([tmp_path]), []

    @once
    def counted(runs: Runs, name: str, *, twice: bool = False) -> pd.DataFrame:
        """Says something."""
        calls.append((name, twice))
        return pd.DataFrame({"a": [1, 2]})

    first = counted(runs, "x")
    first["a"] = 0  # a caller may change what it was given
    assert counted(runs, "x")["a"].tolist() == [1, 2]
    counted(runs, "x", twice=True)
    counted(runs, "y")
    counted(others, "x")
    assert calls == [("x", False), ("x", True), ("y", False), ("x", False)]
    assert counted.__doc__ == "Says something."
