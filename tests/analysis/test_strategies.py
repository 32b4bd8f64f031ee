"""Statistics of comparisons against known answers, and the whole command on a tiny comparison."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from analysis.comparison import (
    compare_strategies,
    strategy_points,
    strategy_table,
)
from atrc.config import Compare, Config, Named, parse_config
from atrc.experiments import execute_all
from atrc.experiments.comparison import baselines, incumbents, networks, searches, strategy_config
from atrc.networks import MultiTaskNetwork
from atrc.runs import RunDirectory, RunSpec
from atrc.setup import Setup
from atrc.supernets import MultiTaskSupernet
from atrc.training import execute
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


@pytest.mark.parametrize(
    ("strategy", "after"),
    [
        ("{name: gumbel_entropy, lr: 0.3}", 4),
        ("{name: darts, lr: 0.3}", 4),
        ("{name: enas, hidden: 8}", 4),
        ("{name: spos, final_trials: 2, population: 2, parents: 1}", 4 + 4),  # statistics are taken anew
        ("{name: random}", 0),  # four trials of twelve
    ],
    ids=lambda value: value.split(",")[0] if isinstance(value, str) else "",
)
def test_as_many_images_pass_through_networks_as_the_ledger_says(
    strategy: str, after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted where they pass. The metrics of a supernet at its end are of ``after`` images, and no search."""
    monkeypatch.setenv("ATRC_CACHE", str(tmp_path / "cache"))
    text = TINY.replace("first order", "first-order")
    config = parse_config(
        text, "test", ["seeds=[0]", "trials.recalibration=4", f"compare.strategies={{one: {strategy}}}"]
    )
    (run,) = searches(config, tmp_path)
    passed = 0

    def count(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        nonlocal passed
        if isinstance(module, MultiTaskNetwork | MultiTaskSupernet) and not arguments[0].is_meta:
            passed += len(arguments[0])

    hook = register_module_forward_pre_hook(count)
    try:
        execute(run, quiet=True)
    finally:
        hook.remove()
    assert run.result().samples == 48
    assert passed == 48 + after


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


def logged(config: Config, folder: Path, name: str, file: str, lines: list[dict[str, Any]]) -> RunDirectory:
    """A finished search with these lines in its log."""
    settings = config.model_copy(update={"compare": None, "strategy": Named(name=name)})
    run = RunDirectory.create(folder, RunSpec("search", "search", 0), settings)
    (run.path / file).write_text("".join(json.dumps(line) + "\n" for line in lines))
    run.write_genotype(Setup.of(config).space.uniform("global"))
    return run


def test_incumbents_of_logs_that_were_written_by_hand(compared: tuple[Config, Path], tmp_path: Path) -> None:
    """Of 40 images, looked at by quarters; what it named at its end is in the run."""
    config, _ = compared
    compare = Compare(strategies={"one": Named(name="random")}, samples=40, points=4)
    none, local, t_label = (dict(Setup.of(config).space.uniform(context)) for context in ("none", "local", "t_label"))
    end = (1.0, dict(Setup.of(config).space.uniform("global")))

    def found(run: RunDirectory) -> list[tuple[float, dict[str, str]]]:
        return [(incumbent.fraction, dict(incumbent.genotype)) for incumbent in incumbents(run, compare)]

    def trial(samples: int, score: float | None, genotype: dict[str, str], **more: Any) -> dict[str, Any]:
        return {"samples": samples, "score": score, "value": 9.0, "budget": 1.0, "genotype": genotype, **more}

    said = [trial(8, None, none, named=None), trial(16, 1.0, none, named=none), trial(30, 5.0, t_label, named=local)]
    run = logged(config, tmp_path / "said", "random", "trials.jsonl", said)
    assert found(run) == [(0.5, none), (0.75, local), end]

    older = [
        trial(10, 3.0, local, budget=0.5),
        trial(14, math.nan, t_label),  # as a search wrote that knew no failures
        trial(20, 1.0, none),  # of a larger budget
        trial(24, None, t_label),
        trial(30, 0.5, t_label),
    ]
    run = logged(config, tmp_path / "older", "random", "trials.jsonl", older)
    assert found(run) == [(0.25, local), (0.5, none), (0.75, none), end]

    steps = [{"step": 1}, {"step": 2, "genotype": none}, {"step": 3, "genotype": local}]
    run = logged(config, tmp_path / "steps", "darts", "architecture.jsonl", steps)  # four and four images a step
    assert found(run) == [(0.5, none), (0.75, local), end]
    counted = [{**line, "samples": 5 * line["step"]} for line in steps]
    run = logged(config, tmp_path / "counted", "darts", "architecture.jsonl", counted)
    assert found(run) == [(0.25, none), (0.5, local), (0.75, local), end]


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
        with pytest.raises(InputError, match=r"unequal budgets: random used 28 images, .*48.*--unequal"):
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
    assert not any("used different data" in note for note in compare_strategies(config, folder, tmp_path).notes)
    result["data"]["train"]["image"] = "0" * 16
    file.write_text(json.dumps(result))
    try:
        made = compare_strategies(config, folder, tmp_path)
    finally:
        file.write_text(kept)
    (said,) = [note for note in made.notes if "used different data" in note]
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
