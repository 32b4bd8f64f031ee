"""Gains, Delta_m and the summary table against numbers worked out by hand and the paper's Table 1."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from analysis import compare, load_runs, sampled_against_retrained, summarize
from analysis.differences import answers
from analysis.multitask import gains, spread, with_delta_m
from analysis.notes import notes

from .conftest import ATRC, MULTI, SINGLE, Write, of, write_baselines


def test_delta_m_of_table_1(write: Write, tmp_path: Path) -> None:
    write_baselines(write)
    write("multi", 0, of(MULTI))
    write("retrain", 0, of(ATRC))
    table = summarize(load_runs([tmp_path])).set_index("model")
    # the published means are rounded, which moves Delta_m by up to 0.01
    assert table.loc["multi", "delta_m_mean"] == pytest.approx(-1.89, abs=0.01)
    assert table.loc["retrain", "delta_m_mean"] == pytest.approx(1.56, abs=0.01)
    assert table.loc["single", "delta_m_mean"] == 0


def test_gain_is_positive_where_lower_is_better(write: Write, tmp_path: Path) -> None:
    write_baselines(write, values=(40.0, 0.5, 20.0, 50.0))
    write("multi", 0, of((44.0, 0.45, 21.0, 50.0)))
    table = gains(load_runs([tmp_path])).set_index("task")
    assert table["gain"].to_dict() == pytest.approx({"semseg": 10, "depth": 10, "normals": -5, "edge": 0})


def test_mean_and_sample_std_over_seeds(write: Write, tmp_path: Path) -> None:
    for seed, value in enumerate((36.0, 38.0, 40.0)):
        write("multi", seed, of((value, 0.6, 21.0, 76.0)), seconds=10.0 + seed)
    row = summarize(load_runs([tmp_path])).iloc[0]
    assert (row["n"], row["semseg_mean"], row["semseg_std"]) == (3, 38.0, 2.0)
    assert (row["seconds_mean"], row["seconds_std"]) == (11.0, 1.0)
    assert row["depth_std"] == pytest.approx(0)


def test_one_seed_has_no_std(write: Write, tmp_path: Path) -> None:
    write("multi", 0, of(MULTI))
    runs = load_runs([tmp_path])
    assert math.isnan(summarize(runs).iloc[0]["semseg_std"])
    assert any("only one run" in note and "multi" in note for note in notes(runs))


def test_spread_does_not_hide_a_missing_value() -> None:
    mean, _, n = spread(np.array([1.0, np.nan]))
    assert math.isnan(mean)
    assert n == 2


def test_missing_baselines_leave_the_rest(write: Write, tmp_path: Path) -> None:
    for task in ("semseg", "depth", "normals"):
        write(f"single-{task}", 0, {task: 1.0})
    write("multi", 0, of(MULTI))
    runs = load_runs([tmp_path])
    table = summarize(runs).set_index("model")
    assert math.isnan(table.loc["multi", "delta_m_mean"])
    assert math.isnan(table.loc["single", "parameters"])
    assert table.loc["multi", "edge_mean"] == 76.36
    assert any("of edge" in note and "atrc train demo --model single" in note for note in notes(runs))


def test_a_baseline_of_zero_is_no_baseline(write: Write, tmp_path: Path) -> None:
    write_baselines(write, values=(0.0, 0.6, 20.0, 70.0))
    write("multi", 0, of(MULTI))
    runs = load_runs([tmp_path])
    assert with_delta_m(runs)["delta_m"].isna().all()
    assert any("semseg is 0" in note for note in notes(runs))


def test_baseline_is_the_mean_over_seeds_or_the_same_seed(write: Write, tmp_path: Path) -> None:
    write_baselines(write, seeds=(0,), values=(40.0, 0.5, 20.0, 50.0))
    write_baselines(write, seeds=(1,), values=(60.0, 0.5, 20.0, 50.0))
    for seed in (0, 1, 2):
        write("multi", seed, of((50.0, 0.5, 20.0, 50.0)))
    runs = load_runs([tmp_path])
    by_mean = with_delta_m(runs).query("model == 'multi'")["delta_m"]
    assert list(by_mean) == pytest.approx([0, 0, 0])
    paired = with_delta_m(runs, paired=True).query("model == 'multi'")["delta_m"]
    assert list(paired)[:2] == pytest.approx([100 * 0.25 / 4, -100 / 6 / 4])
    assert math.isnan(list(paired)[2])
    assert any("seed 2" in note for note in notes(runs, paired=True))


def test_baselines_of_another_experiment_are_not_borrowed(write: Write, tmp_path: Path) -> None:
    write_baselines(write)
    write("multi", 0, of(MULTI), experiment="other")
    frame = with_delta_m(load_runs([tmp_path]))
    assert frame["delta_m"].isna().all()


def test_single_task_cost_is_the_sum(write: Write, tmp_path: Path) -> None:
    write_baselines(write, seeds=(0, 1))
    row = summarize(load_runs([tmp_path])).iloc[0]
    assert (row["n"], row["parameters"], row["multiply_adds"]) == (2, 4e6, 8e9)
    assert (row["seconds_mean"], row["seconds_std"]) == (40, 0)


def test_unequal_budgets_are_noted(write: Write, tmp_path: Path) -> None:
    write("multi", 0, of(MULTI))
    write("all-global", 0, of(ATRC), samples=1600)
    assert any("multi 800; all-global 1600" in note for note in notes(load_runs([tmp_path])))


def test_sampled_against_retrained(write: Write, tmp_path: Path) -> None:
    write_baselines(write, values=(40.0, 0.5, 20.0, 50.0))
    for seed, value in enumerate((44.0, 48.0)):
        write("search", seed, of((value, 0.5, 20.0, 50.0)))
    write("retrain", 0, of((50.0, 0.4, 20.0, 50.0)))
    table = sampled_against_retrained(load_runs([tmp_path])).set_index(["model", "task"])
    row = table.loc[("search", "semseg")]
    assert (row["mean"], row["n"]) == (pytest.approx(15), 2)
    assert row["std"] == pytest.approx(np.sqrt(50))
    assert table.loc[("retrain", "depth"), "mean"] == pytest.approx(20)


class TestDoesItBeatTheBaseline:
    def test_differences_and_sentences(self, write: Write, tmp_path: Path) -> None:
        write_baselines(write)
        for seed, shift in enumerate((-0.01, 0.0, 0.01)):
            write("multi", seed, of(np.array(MULTI) * (1 + shift / 10)))
            write("retrain", seed, of(np.array((38.90, 0.6010, 21.02, 75.0)) * (1 + shift / 10)))
        comparisons = compare(load_runs([tmp_path]))
        found = {c.quantity: c for c in comparisons}
        assert list(found) == [*of(SINGLE), "delta_m"]
        assert found["semseg"].difference == pytest.approx(38.90 - 36.35)
        assert found["semseg"].low <= found["semseg"].difference <= found["semseg"].high
        assert "retrain is better than multi by 2.55 points" in found["semseg"].sentence
        assert "retrain is better than multi by 0.0274 m" in found["depth"].sentence
        assert "no clear difference" in found["normals"].sentence
        assert "retrain is worse than multi by 1.36 points" in found["edge"].sentence
        told = answers(comparisons, "demo")
        assert told[:-2] == [c.sentence for c in comparisons]
        assert told[-2] == "With fewer than 5 runs on a side, these intervals are too narrow."
        assert told[-1].startswith("The 5 intervals are not corrected for their number")

    def test_one_run_has_no_interval(self, write: Write, tmp_path: Path) -> None:
        write("multi", 0, of(MULTI))
        write("retrain", 0, of(ATRC))
        first = compare(load_runs([tmp_path]))[0]
        assert math.isnan(first.low)
        assert "an effect cannot be told from chance" in first.sentence
        assert answers([first], "demo") == [first.sentence]
