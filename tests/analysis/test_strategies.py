"""Statistics of comparisons against known answers, and the whole command on a tiny comparison."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.strategies import (
    compare_strategies,
    strategy_points,
    strategy_table,
)
from atrc.comparison import baselines, incumbents, networks, searches, strategy_config
from atrc.config import Config, parse_config
from atrc.experiment import execute_all
from atrc.runs import RunDirectory
from searchspace import InputError

TINY = """
name: tiny-comparison
dataset: {name: rooms, size: [32, 48], train: 12, val: 4}
tasks: {depth: {}, edge: {thresholds: 5}}
backbone: {name: tiny, width: 0.25}
search: {steps: 8, batch_size: 4, lr: 0.02, clip_norm: 10.0}
train: {steps: 2, batch_size: 4, lr: 0.02}
trials: {steps: 2, images: 4}
compare:
  samples: 48
  points: 2
  strategies: {gumbel_entropy: {lr: 0.3}, first order: {name: darts, lr: 0.3}, random: {}}
seeds: [0, 1]
"""


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATRC_CACHE", str(tmp_path_factory.mktemp("cache")))
        config = parse_config(TINY.replace("first order", "first-order"), "test")
        folder = tmp_path_factory.mktemp("comparison")
        searched = searches(config, folder)
        execute_all([*searched, *baselines(config, folder)], quiet=True)
        execute_all(networks(config, folder, searched), quiet=True)
    return config, folder


def test_every_strategy_spends_the_same(compared: tuple[Config, Path]) -> None:
    config, folder = compared
    assert strategy_config(config, "gumbel_entropy").search.steps == 12
    assert strategy_config(config, "first-order").search.steps == 6
    points = strategy_points(config, folder)
    assert set(points["samples"]) == {48}
    assert len(points) == 3 * 2 * 2
    assert sorted(points["fraction"].unique()) == [0.5, 1.0]


def test_a_point_is_worth_what_its_network_is(compared: tuple[Config, Path]) -> None:
    """Delta_m by hand, from the files."""
    config, folder = compared
    row = strategy_points(config, folder).iloc[0]
    metrics = json.loads((folder / "networks" / row["network"] / f"seed{row['seed']}" / "result.json").read_text())
    base = {}
    for task in config.tasks:
        found = [json.loads((folder / f"single-{task}/seed{s}/result.json").read_text()) for s in config.seeds]
        base[task] = np.mean([one["metrics"][task] for one in found])
    gains = [
        -(metrics["metrics"]["depth"] - base["depth"]) / base["depth"],
        (metrics["metrics"]["edge"] - base["edge"]) / base["edge"],
    ]
    assert row["delta_m"] == pytest.approx(100 * np.mean(gains))


def test_incumbents_are_what_the_logs_say(compared: tuple[Config, Path]) -> None:
    config, folder = compared
    assert config.compare is not None
    run = RunDirectory.open(folder / "search-random/seed0")
    lines = list(run.lines("trials.jsonl"))
    half = max((line for line in lines if line["samples"] <= 24), key=lambda line: line["score"])
    first, last = incumbents(run, config.compare)
    assert (first.fraction, dict(first.genotype)) == (0.5, half["genotype"])
    assert dict(last.genotype) == max(lines, key=lambda line: line["score"])["genotype"]
    run = RunDirectory.open(folder / "search-first-order/seed1")
    line = [line for line in run.lines("architecture.jsonl") if line["step"] * 8 <= 24][-1]
    assert dict(incumbents(run, config.compare)[0].genotype) == line["genotype"]


def test_the_comparison_has_tables_and_figures_and_is_the_same_twice(
    compared: tuple[Config, Path], tmp_path: Path
) -> None:
    config, folder = compared
    made = compare_strategies(config, str(folder), str(tmp_path / "one"))  # paths may be strings
    again = compare_strategies(config, folder, tmp_path / "two")
    assert set(made.figures) == {"anytime", "ranks"}
    assert set(made.tables) == {"points", "table", "tests", "power"}
    for name, path in made.tables.items():
        assert path.read_bytes() == again.tables[name].read_bytes()
    for name, paths in made.figures.items():
        assert paths[1].read_bytes() == again.figures[name][1].read_bytes()
    assert len(made.tests) == 3
    assert any("smallest p is 0.5" in note and "cannot" in note for note in made.notes)


def test_unequal_budgets_are_refused_or_named(compared: tuple[Config, Path], tmp_path: Path) -> None:
    config, folder = compared
    file = folder / "search-random/seed0/result.json"
    kept = file.read_text()
    result = json.loads(kept)
    file.write_text(json.dumps({**result, "samples": 8}))
    try:
        with pytest.raises(InputError, match=r"unequal budgets: random learnt from 28 images, .*48.*--unequal"):
            compare_strategies(config, folder, tmp_path)
        made = compare_strategies(config, folder, tmp_path, unequal=True)
    finally:
        file.write_text(kept)
    assert made.notes[0].startswith("Unequal budgets: random")


def test_runs_that_saw_other_data_are_named(compared: tuple[Config, Path], tmp_path: Path) -> None:
    config, folder = compared
    file = folder / "search-random/seed0/result.json"
    kept = file.read_text()
    result = json.loads(kept)
    assert not any("saw other data" in note for note in compare_strategies(config, folder, tmp_path).notes)
    result["data"]["train"]["image"] = "0" * 16
    file.write_text(json.dumps(result))
    try:
        made = compare_strategies(config, folder, tmp_path)
    finally:
        file.write_text(kept)
    (said,) = [note for note in made.notes if "saw other data" in note]
    assert "data.train.image is" in said
    assert "000000 (search-random)" in said


def test_a_search_with_another_config_is_not_mixed_in(compared: tuple[Config, Path]) -> None:
    config, folder = compared
    assert config.compare is not None
    other = config.model_copy(update={"compare": config.compare.model_copy(update={"samples": 64})})
    with pytest.raises(InputError, match="made with another config"):
        searches(other, folder)


# -- statistics -----------------------------------------------------------------------------------------------------


def frame(values: dict[str, list[float]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "strategy": name, "kind": "one-shot", "seed": seed, "fraction": 1.0, "samples": 10, "delta_m": value,
                "network": f"{name}{seed}", "seconds": 1.0, "memory": None,
            }
            for name, column in values.items()
            for seed, value in enumerate(column)
        ]
    )  # fmt: skip


def test_mean_ranks_and_order() -> None:
    table = strategy_table(frame({"a": [1, 2, 3], "b": [3, 2, 1], "c": [9, 9, 9]}))
    assert list(table["strategy"]) == ["c", "a", "b"]
    assert dict(zip(table["strategy"], table["rank"], strict=True)) == pytest.approx({"c": 1.0, "a": 2.5, "b": 2.5})
    assert table["delta_m_std"].tolist() == pytest.approx([0.0, 1.0, 1.0])


def test_a_seed_without_a_number_is_in_no_mean_and_no_rank() -> None:
    table = strategy_table(frame({"a": [1, 2, math.nan], "b": [3, 2, 1], "c": [9, 9, 9]})).set_index("strategy")
    assert table.loc["a", ["n", "delta_m_mean", "rank"]].tolist() == [2, 1.5, 2.75]
    assert table.loc["c", ["n", "rank"]].tolist() == [3, 1]
