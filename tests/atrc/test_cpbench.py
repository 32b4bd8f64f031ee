"""Tables of a space: networks are those of `atrc train`, tables are made on where they stopped, and are checked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.cpbench import query_table, table_facts, table_results
from atrc.config import Config, parse_config
from atrc.cpbench import Network, find_table, recipe_of
from atrc.experiments import create_train, execute_all
from atrc.experiments.cpbench import make_table, networks_of, reproduced, train_networks
from atrc.metrics.delta_m import delta_m
from atrc.runs.names import group
from atrc.setup import Setup
from searchspace import Genotype, InputError

SMALL = """
name: small
dataset: {name: planted, train: 24, val: 8, grid: 4, answer: {a: {a: global}, b: {a: local}}}
tasks: [a, b]
backbone: {name: panels, width: 4, grid: 4}
model: {head: {name: pointwise, channels: 4}, hidden: 4, dropout: 0, contexts: {local: {window: 3}}}
train: {steps: 8, batch_size: 6, optimizer: adamw, lr: 0.01}
augmentation: {scale: null, flip: 0, photometric: false}
seeds: [0, 1]
evaluate_batch: 5
"""
CONFIG = parse_config(SMALL, "small")
SPACE = Setup.of(CONFIG).space
CHOSEN = [SPACE.uniform("none"), SPACE.uniform("local"), SPACE.uniform("t_label")]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of three genotypes."""
    folder = tmp_path_factory.mktemp("table")
    assert make_table(CONFIG, folder, CHOSEN, quiet=True) == folder / "small.csv.gz"
    return folder


def copy(made: Path, to: Path) -> Path:
    for file in made.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    return to


def test_networks_reach_what_those_of_the_command_train_reach(made: Path, tmp_path: Path) -> None:
    file = tmp_path / "local.json"
    file.write_text(json.dumps(CHOSEN[1].to_json()))
    runs = create_train(CONFIG, ["single-a", "single-b", str(file)], tmp_path / "runs")
    execute_all(runs, quiet=True)
    trained = {(group(run.spec.model), run.spec.seed): run.result() for run in runs}
    base = {task: sum(trained[f"single-{task}", seed].metrics[task] for seed in (0, 1)) / 2 for task in "ab"}
    table = find_table(made / "small.csv.gz")
    rows = table_results(table).query("steps == 8").set_index([*SPACE, "seed"])
    for seed in (0, 1):
        row, result = rows.loc[(*CHOSEN[1].values(), seed)], trained["local", seed]
        assert (row["metric.a"], row["metric.b"]) == (result.metrics["a"], result.metrics["b"])
        assert (row["samples"], row["parameters"], row["multiply_adds"]) == (
            result.samples,
            result.parameters,
            result.multiply_adds,
        )
        assert row["delta_m"] == pytest.approx(delta_m(result.metrics, base, {"a": False, "b": False}), rel=1e-9)
        assert table.card.baselines["single-a"][seed][8]["a"] == trained["single-a", seed].metrics["a"]


def test_early_results_are_those_of_the_same_training(made: Path) -> None:
    """Not of a shorter one, whose learning rate would end sooner."""
    results = table_results(find_table(made / "small.csv.gz"))
    assert sorted(set(zip(results["steps"], results["budget"], strict=True))) == [(2, 0.25), (4, 0.5), (8, 1.0)]
    (points,) = [points for _, points in train_networks(CONFIG, [Network("", CHOSEN[1], 0)], quiet=True)]
    short = CONFIG.model_copy(update={"train": CONFIG.train.model_copy(update={"steps": 4})})
    (shorter,) = [points for _, points in train_networks(short, [Network("", CHOSEN[1], 0)], quiet=True)]
    rows = results.set_index([*SPACE, "seed", "steps"]).sort_index().loc[(*CHOSEN[1].values(), 0)]
    assert [points[place]["metrics"]["a"] for place in range(3)] == rows["metric.a"].to_list()
    assert points[1]["metrics"] != shorter[2]["metrics"]


def test_what_was_trained_is_not_trained_again(made: Path, tmp_path: Path) -> None:
    folder = copy(made, tmp_path)
    journal = folder / "small.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    assert len(lines) == 1 + 2 * (3 + 3)
    # As a kill leaves it: three networks are missing, and the line of a fourth one was cut off.
    journal.write_text("".join(lines[:-4]) + lines[-4][:50])
    make_table(CONFIG, folder, CHOSEN, quiet=True)
    now = journal.read_text().splitlines(keepends=True)
    assert now[:-4] == lines[:-4]
    tables = [pd.read_csv(of / "small.csv.gz").drop(columns="seconds") for of in (made, folder)]
    pd.testing.assert_frame_equal(*tables, check_exact=True)


def test_a_table_that_is_not_whole_says_so(made: Path, tmp_path: Path) -> None:
    folder = copy(made, tmp_path)
    journal = folder / "small.jsonl"
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:-1]))
    table = find_table(make_table_of_the_journal(folder))
    facts = table_facts(table, table_results(table))
    assert (facts.genotypes, facts.seeds, facts.budgets) == (400, 2, [2, 4, 8])
    assert facts.missing == 400 * 2 - 5
    assert table.card.networks == 400 * 2 + 6


def make_table_of_the_journal(folder: Path) -> Path:
    """Ends a command for the whole space before it trains anything."""
    from atrc.experiments import cpbench

    def nothing(*_: Any, **__: Any) -> list[Any]:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpbench, "train_networks", nothing)
        with pytest.raises(KeyboardInterrupt):
            make_table(CONFIG, folder, quiet=True)
    return folder / "small.csv.gz"


def test_a_journal_of_another_config_is_refused(made: Path, tmp_path: Path) -> None:
    folder = copy(made, tmp_path)
    other = CONFIG.model_copy(update={"train": CONFIG.train.model_copy(update={"lr": 0.5})})
    with pytest.raises(InputError, match=r"was begun with other settings: config\.train\.lr was 0\.01 and is 0\.5"):
        make_table(other, folder, CHOSEN, quiet=True)


@pytest.mark.parametrize("line", ["{", '{"model": "", "genotype": {"a<-a": "globl"}, "seed": 0, "points": []}', "[]"])
def test_a_damaged_line_is_named(made: Path, tmp_path: Path, line: str) -> None:
    folder = copy(made, tmp_path)
    journal = folder / "small.jsonl"
    lines = journal.read_text().splitlines()
    lines[3] = line
    journal.write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=r"small\.jsonl, line 4|globl"):
        make_table(CONFIG, folder, CHOSEN, quiet=True)


def test_networks_are_made_again_to_the_last_bit(made: Path, tmp_path: Path) -> None:
    again = reproduced(find_table(made / "small.csv.gz"), 3, quiet=True)
    assert len({(one.genotype, one.seed) for one in again}) == 3
    assert all(one.equal and one.difference == 0 for one in again)


def test_one_changed_digit_is_found(made: Path, tmp_path: Path) -> None:
    folder = copy(made, tmp_path)
    table = pd.read_csv(folder / "small.csv.gz")
    table.loc[4, "metric.b"] *= 1 + 1e-14
    table.to_csv(folder / "small.csv.gz", index=False, float_format="%.17g")
    again = reproduced(find_table(folder / "small.csv.gz"), 99, quiet=True)
    assert [one.column for one in again if not one.equal] == ["metric.b"]
    assert max(one.difference for one in again) == pytest.approx(1e-14, rel=0.1)


def test_a_query_is_an_average_over_seeds(made: Path) -> None:
    table = find_table(made / "small.csv.gz")
    results = table_results(table).query("steps == 4")
    found = query_table(table, {"a<-b": "local"}, steps=4)
    (row,) = found.to_dict("records")
    of = results[results["a<-b"] == "local"]
    assert (row["seeds"], row["delta_m"]) == (2, pytest.approx(of["delta_m"].mean()))
    means = results.groupby("a<-b")["delta_m"].mean()
    assert row["rank"] == 1 + (means > means["local"]).sum()
    assert list(query_table(table, {})["rank"]) == [1, 2, 3]
    with pytest.raises(InputError, match="no results after 3 steps; it has: 2, 4, 8"):
        query_table(table, {}, steps=3)


def test_the_card_holds_all_that_decides(made: Path) -> None:
    card = find_table(made / "small.csv.gz").card
    assert recipe_of(card.config) == recipe_of(CONFIG)
    assert (card.seeds, card.budgets, card.missing) == ([0, 1], [2, 4, 8], 0)
    assert set(card.baselines) == {"single-a", "single-b", "multi"}


def test_a_space_that_is_too_large_is_refused() -> None:
    large = CONFIG.model_copy(update={"tasks": {task: {} for task in "abcd"}})
    with pytest.raises(InputError, match="too many for a table"):
        networks_of(large)


def keys(networks: Sequence[Network]) -> list[tuple[str, Genotype | None, int]]:
    return [(one.model, one.genotype, one.seed) for one in networks]


def test_baselines_come_first_since_delta_m_needs_them() -> None:
    wanted = keys(networks_of(CONFIG, CHOSEN[:1]))
    assert wanted == [
        *((model, None, seed) for seed in (0, 1) for model in ("single-a", "single-b", "multi")),
        *(("", CHOSEN[0], seed) for seed in (0, 1)),
    ]


def test_a_config_of_another_training_has_no_table(made: Path) -> None:
    other: Config = CONFIG.model_copy(update={"evaluate_batch": 4})
    assert recipe_of(other) != recipe_of(CONFIG)
    strategy = CONFIG.model_copy(update={"seeds": [7]})
    assert recipe_of(strategy) == recipe_of(CONFIG)
