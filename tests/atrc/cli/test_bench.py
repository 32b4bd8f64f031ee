"""`atrc bench`: every benchmark runs at its small sizes, and says what it measured."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from atrc.bench import BENCHMARKS, PRESET_BENCHMARKS, Outcome, Setting
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


PARTS = ["loading", "backbone", "heads", "contexts", "predictions and losses", "optimizer"]


def check_step(found: dict) -> None:
    for case in ("search", "found", "multi"):
        numbers = found[case]
        assert list(numbers["parts"]) == PARTS
        assert sum(numbers["parts"].values()) == pytest.approx(numbers["ms"])
        assert all(ms > 0 for ms in numbers["parts"].values())
        assert numbers["operators"] > 0
        assert numbers["share_of_peak"] > 0
        assert numbers["times_faster"] == pytest.approx(numbers["reference_ms"] / numbers["ms"])
    assert found["search"]["operators"] > found["found"]["operators"] > found["multi"]["operators"]
    assert found["search"]["gflop"] > found["found"]["gflop"] > found["multi"]["gflop"]
    assert found["threads"] == 1
    assert found["peak_gflops"] > 0


def test_parts_of_a_step_of_a_preset(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], config_file: Path, tmp_path: Path
) -> None:
    torch.set_num_threads(2)  # one is the default of these benchmarks, whatever the machine has
    out = tmp_path / "step.json"
    size = "dataset.size=[48, 48]"
    assert not run(monkeypatch, "step", str(config_file), "--quick", "--repeats", "2", "-s", size, "-o", str(out))
    lines = capsys.readouterr().out.splitlines()
    assert "1 thread;" in lines[0]
    assert [line.strip() for line in lines if "contexts" in line]
    found = json.loads(out.read_text())
    check_step(found)
    assert "revision" in found["environment"]


def test_steps_of_several_presets_are_told_by_preset(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], config_file: Path
) -> None:
    other = config_file.with_name("other.yaml")
    other.write_text(config_file.read_text().replace("gumbel_entropy", "darts"))
    assert not run(monkeypatch, "step", str(config_file), str(other), "--quick", "--repeats", "1", "--json")
    found = json.loads(capsys.readouterr().out)
    assert list(found) == [str(config_file), str(other)]
    for one in found.values():
        check_step(one)
    search, bi_level = (one["search"]["gflop"] for one in found.values())
    assert bi_level > 1.3 * search  # two passes forward, and a part of one back


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["step"], "'step' needs a preset"),
        (["step", "dmeo"], "did you mean 'demo'"),
        (["step", "demo", "demo"], "twice"),
        (["step", "demo", "--profile"], "--profile"),
        (["step", "demo", "-s", "serach.steps=1"], "did you mean 'search'"),
        (["step", "demo", "-s", "strategy={name: evolution}"], "trains no supernet"),
        (["local", "demo"], "'local' takes no preset, got 'demo'"),
        (["local", "step", "demo"], "atrc bench step PRESET"),
        (["local", "-s", "train.steps=1"], "'local' takes none"),
        (["stpe", "demo"], "did you mean 'step'"),
    ],
)
def test_what_does_not_go_together_is_refused_in_a_line(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *arguments) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert len(told.err.splitlines()) == 1


def test_a_benchmark_of_presets_of_ones_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(PRESET_BENCHMARKS, "_entries", dict(PRESET_BENCHMARKS._entries))

    @PRESET_BENCHMARKS.register("own")
    def own(preset: str, overrides: Sequence[str], setting: Setting) -> Outcome:
        """Measures something of one's own."""
        return Outcome(f"own: {preset}", {"": ["rounds"], "number": [f"{setting.repeats}"]}, {"given": overrides})

    assert not run(monkeypatch)
    assert "own PRESET" in capsys.readouterr().out
    assert not run(monkeypatch, "own", "demo", "--repeats", "3", "--threads", "2")
    printed = capsys.readouterr().out
    assert "2 threads;" in printed
    assert printed.splitlines()[-1].split() == ["rounds", "3"]
    assert not run(monkeypatch, "own", "demo", "-s", "train.steps=5", "--json")
    assert json.loads(capsys.readouterr().out)["given"] == ["train.steps=5"]
