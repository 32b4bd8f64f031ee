"""`atrc bench`: every benchmark runs at its small sizes, and says what it measured."""

from __future__ import annotations

import json
import sys

import pytest

from atrc.bench import BENCHMARKS
from atrc.cli import main


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["atrc", "bench", *arguments])
    with pytest.raises(SystemExit) as exited:
        main()
    return exited.value.code


@pytest.mark.parametrize("name", sorted(dict(BENCHMARKS.items())))
def test_a_benchmark_compares_its_contenders(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not run(monkeypatch, name, "--quick", "--repeats", "2", "--no-memory", "--json")
    report = json.loads(capsys.readouterr().out)
    cases: dict[str, list[dict]] = {}
    for row in report["results"]:
        cases.setdefault(row["case"], []).append(row)
    for rows in cases.values():
        assert len(rows) > 1
        (reference,) = {round(row["ratio"] * row["median_ms"], 6) for row in rows}  # the same for all contenders
        assert reference > 0


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
