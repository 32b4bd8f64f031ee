"""`atrc bench`: every benchmark runs at its small sizes, and says what it measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from atrc.bench import BENCHMARKS
from atrc.cli import main


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["atrc", "bench", *arguments])
    with pytest.raises(SystemExit) as exited:
        main()
    return exited.value.code


SLOW = {"search-step", "strategies", "supergraph"}  # many steps of supernets


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in sorted(dict(BENCHMARKS.items()))]
)
def test_a_benchmark_compares_its_contenders(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not run(monkeypatch, name, "--quick", "--repeats", "2", "--no-memory", "--json")
    report = json.loads(capsys.readouterr().out)
    cases: dict[str, list[dict]] = {}
    for row in report["results"]:
        cases.setdefault(row["case"], []).append(row)
    assert cases
    for rows in cases.values():
        assert len(rows) > 1
        (reference,) = {round(row["ratio"] * row["median_ms"], 6) for row in rows}  # the same for all contenders
        assert reference > 0


@pytest.mark.slow  # a process per contender
def test_peak_memory_of_the_forms_of_local_attention(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unfolding holds keys, values and their gradients 81-fold."""
    assert not run(monkeypatch, "local", "--quick", "--repeats", "1", "--json")
    peak = {row["contender"]: row["peak_mb"] for row in json.loads(capsys.readouterr().out)["results"]}
    one_map = 2 * 33 * 16 * 20 * 4 / 2**20
    assert peak["unfold"] > 2 * 81 * one_map
    assert peak["compiled"] < peak["unfold"] / 8


def test_an_unknown_benchmark_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "locl") == 2
    assert "did you mean 'local'" in capsys.readouterr().err


def test_a_figure_needs_the_benchmark_that_it_draws(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = "--quick", "--repeats", "1", "--no-memory", "--figure", str(tmp_path)
    assert run(monkeypatch, "loader", *arguments) == 2
    assert "scaling" in capsys.readouterr().err
    assert not run(monkeypatch, "scaling", *arguments)
    assert {path.name for path in tmp_path.iterdir()} == {"scaling.pdf", "scaling.png", "scaling.svg"}


def test_a_profile_says_where_the_time_goes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not run(monkeypatch, "local", "--quick", "--profile", "--json")
    rows = json.loads(capsys.readouterr().out)["results"]
    (unfolding,) = (row for row in rows if row["contender"] == "unfold" and row["operator"] == "aten::im2col")
    assert unfolding["calls"] == 3  # keys, values, and which neighbours exist
    assert all(0 <= row["share"] <= 1 for row in rows)
