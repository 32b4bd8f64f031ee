"""The command ``atrc lookup``, and ``atrc analyze`` of its folder."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def config_of_table(tmp_path: Path) -> Path:
    rows = [f"{a},{b},{seed},{ord(a) - ord(b)}" for a, b, seed in itertools.product("abc", "xyz", "01")]
    (tmp_path / "table.csv").write_text("\n".join(["one,two,seed,score", *rows]) + "\n")
    path = tmp_path / "tabled.yaml"
    path.write_text("name: tabled\nspace: {name: benchmark, file: table.csv}\n")
    return path


def test_searches_are_shown_and_analysed(atrc: Callable[..., Any], config_of_table: Path, tmp_path: Path) -> None:
    chosen = ["--strategy", "random", "--strategy", "local_search", "--strategy", "grid", "--few", "grid=2"]
    said = atrc(
        "lookup", config_of_table, *chosen, "--seeds", "4", "--trials", "6", "-j", "1", "-q", "--formats", "png"
    )
    assert said.status == 0, said.err
    assert "score of 9 genotypes in table table, 6 trials a search" in said.out
    folder = tmp_path / "runs" / "tabled-lookup"
    assert {path.name for path in (folder / "analysis").glob("*.csv")} == {
        *("lookup.csv", "lookup_tests.csv", "lookup_trials.csv", "lookup_samples.csv")
    }
    assert (folder / "analysis" / "lookup_trials.png").is_file()
    again = atrc("analyze", folder, "-o", tmp_path / "again", "--formats", "png")
    assert again.status == 0, again.err
    assert (tmp_path / "again" / "lookup.csv").read_bytes() == (folder / "analysis" / "lookup.csv").read_bytes()
    shown = atrc("report", folder)
    assert shown.status == 0, shown.err
    page = (tmp_path / "report" / "report.html").read_text()
    assert "strategies that looked genotypes up in a table" in page
    assert page.count("<figure") == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--few", "grid"], "--few 'grid' is not NAME=NUMBER"),
        (["--strategy", "gird"], "did you mean 'grid'"),
        (["-s", "cost={}"], "leave out the cost"),
        (["-s", "trials.scorer={name: table, score: accuracy}"], "unknown column 'accuracy'"),
    ],
)
def test_wrong_arguments_give_one_line(
    atrc: Callable[..., Any], config_of_table: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    said = atrc("lookup", config_of_table, "-q", *arguments)
    assert said.status == 2
    assert message in said.err
    assert said.err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_a_comparison_needs_images(atrc: Callable[..., Any], config_of_table: Path, tmp_path: Path) -> None:
    said = atrc("compare", config_of_table, "-s", "compare={strategies: [random], samples: 1000000}")
    assert said.status == 2
    assert "or compare strategies by atrc lookup" in said.err
    assert not (tmp_path / "runs").exists()


def test_searches_without_data_are_analysed(atrc: Callable[..., Any], config_of_table: Path, tmp_path: Path) -> None:
    options = ["-s", "strategy.name=random", "-s", "trials={scorer: {name: table}, number: 4}", "-q"]
    said = atrc("search", config_of_table, "--seeds", "0,1", *options)
    assert said.status == 0, said.err
    assert "retrain" not in said.out
    analysed = atrc("analyze", "runs", "--formats", "png")
    assert analysed.status == 0, analysed.err
    assert "the configs have no dataset and no tasks" in analysed.out
    assert (tmp_path / "analysis" / "runs.csv").is_file()
