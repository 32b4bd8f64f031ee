"""Trajectories and training curves as tables."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from analysis import load_runs
from analysis.figures import draw_freezing
from analysis.trajectory import block_probabilities, freeze_times, search_trajectory, training_curves
from searchspace import CPSpace

from .conftest import ATRC, TASKS, Write, of, write_search


def test_search_trajectory(write: Write, tmp_path: Path) -> None:
    write_search(write, 0, CPSpace(TASKS).uniform("global"))
    table = search_trajectory(load_runs([tmp_path]), "demo")
    assert list(table["step"]) == [25, 50, 75, 100]
    assert list(table["frozen"]) == [0, 0, 0, 0.5]
    # 4 candidates on the 4 diagonal blocks, all at 1/4; 5 on the others, one at 1/4 and four at 3/16
    rest = -(0.25 * math.log(0.25) + 4 * 3 / 16 * math.log(3 / 16))
    assert table["entropy"].iloc[0] == pytest.approx((4 * math.log(4) + 12 * rest) / 16)
    assert table["entropy"].iloc[-1] == 0
    assert table["temperature"].iloc[-1] == 0.5


def test_block_probabilities(write: Write, tmp_path: Path) -> None:
    write_search(write, 0, CPSpace(TASKS).uniform("local"))
    table = block_probabilities(load_runs([tmp_path]), "demo")
    assert len(table) == 4 * 16
    assert set(table["final"]) == {"local"}
    assert set(table[table["step"] == 75]["probability"]) == {0.7}


def test_a_strategy_without_schedules(write: Write, tmp_path: Path) -> None:
    run = write("search", 0, of(ATRC), genotype=CPSpace(TASKS).uniform("local"))
    run.append("architecture.jsonl", {"step": 1, "probabilities": {"semseg<-depth": {"none": 0.5, "local": 0.5}}})
    table = search_trajectory(load_runs([tmp_path]), "demo")
    assert table[["temperature", "entropy_weight"]].isna().all(axis=None)
    assert table["entropy"].iloc[0] == pytest.approx(math.log(2))


def test_long_curves_are_averaged(write: Write, tmp_path: Path) -> None:
    run = write("multi", 0, of(ATRC))
    for step in range(1, 1001):
        run.append("metrics.jsonl", {"step": step, "seconds": step, "lr": 0.1, "loss": float(step)})
    table = training_curves(load_runs([tmp_path]), "demo")
    assert len(table) == 334
    assert list(table["loss"])[:2] == [2, 5]
    assert table["step"].iloc[-1] == 1000


def test_runs_without_a_log_have_no_curve(write: Write, tmp_path: Path) -> None:
    write("multi", 0, of(ATRC))
    assert training_curves(load_runs([tmp_path]), "demo").empty


def test_freeze_times(write: Write, tmp_path: Path) -> None:
    write_search(write, 0, CPSpace(TASKS).uniform("global"))
    table = freeze_times(load_runs([tmp_path]), "demo")
    assert len(table) == 16
    assert (table["step"] == 100).all()
    assert table["frozen"].tolist() == [True] * 8 + [False] * 8
    assert set(table["context"]) == {"global"}


def test_the_legend_of_freeze_times_fits_into_the_figure() -> None:
    """With its longest content: all contexts, and blocks that never froze."""
    options = ["none", "global", "local", "t_label", "s_label"]
    blocks = [f"semseg<-{task}" for task in ("depth", "normals", "edge", "semseg", "saliency")]
    steps = {"step": range(5), "frozen": [True, True, True, True, False]}
    table = pd.DataFrame({"run": "seed 0", "block": blocks, "context": options, **steps})
    figure = draw_freezing(table)
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert len(legend.get_texts()) == 6
    box = legend.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width


def test_a_search_that_freezes_nothing_has_no_freeze_times(write: Write, tmp_path: Path) -> None:
    run = write("search", 0, of(ATRC), genotype=CPSpace(TASKS).uniform("local"))
    run.append("architecture.jsonl", {"step": 1, "probabilities": {"semseg<-depth": {"none": 0.5, "local": 0.5}}})
    assert freeze_times(load_runs([tmp_path]), "demo").empty
