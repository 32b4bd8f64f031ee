"""All tables and figures at once, where something is missing, and what the screen shows."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from rich.console import Console

from analysis import analyze, load_runs, output, summary, write_report
from analysis.genotypes import conditions
from searchspace import CPSpace, InputError
from searchspace.toy import ToySpace

from .conftest import ATRC, MULTI, TASKS, Write, keep, of, write_baselines, write_search


@pytest.fixture
def experiment(write: Write, tmp_path: Path) -> Path:
    """Two seeds of everything."""
    space = CPSpace(TASKS)
    write_baselines(write, seeds=(0, 1))
    for seed, context in enumerate(("global", "t_label")):
        shift = 1 + 0.002 * seed
        write("multi", seed, of(np.array(MULTI) * shift))
        run = write("retrain", seed, of(np.array(ATRC) * shift), genotype=space.uniform(context))
        keep(run.path, {"semseg<-edge": 1.0 + seed}, space.uniform(context))
        write_search(write, seed, space.uniform(context))
    return tmp_path / "demo"


def nothing(figure: Figure, folder: Path, name: str, formats: Sequence[str]) -> tuple[Path, ...]:
    """`save_figure` without what takes most of the time."""
    return (folder,) * len(formats)


def test_paths_may_be_strings(write: Write, tmp_path: Path) -> None:
    write("multi", 0, of(MULTI))
    made = analyze(str(tmp_path), str(tmp_path / "out"))
    assert made.tables["runs"] == tmp_path / "out/runs.csv"
    assert write_report(made) == tmp_path / "out/report.html"


def test_a_single_unsupported_run_still_gives_tables(write: Write, tmp_path: Path) -> None:
    write("multi", 0, of(MULTI))
    made = analyze([tmp_path], tmp_path / "out")
    assert set(made.tables) == {"runs", "summary"}
    assert made.figures == {}
    told = "\n".join(made.notes)
    assert "atrc train demo --model single" in told
    assert "atrc search demo" in told
    assert "only one run" in told


def test_one_search_has_a_genotype_but_no_agreement(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "save_figure", nothing)
    write("search", 0, of(ATRC), genotype=CPSpace(TASKS).uniform("local"))
    made = analyze([tmp_path], tmp_path / "out")
    assert set(made.figures) == {"genotypes", "proportions"}
    assert any("only one search" in note for note in made.notes)


def shown(paths: list[Path], width: int = 110) -> str:
    out = io.StringIO()
    console = Console(width=width, file=out)
    for part in summary(load_runs(paths)):
        console.print(part)
    return out.getvalue()


def test_the_screen(experiment: Path) -> None:
    text = shown([experiment])
    for expected in (
        "mIoU [%] ↑",
        "+1.55 ±0.00",
        "T-label",
        "consensus",
        "Agreement of 2 searches",
        "retrain is better",
    ):
        assert expected in text


def test_the_screen_in_eighty_columns_cuts_nothing(experiment: Path) -> None:
    assert "…" not in shown([experiment], 80)


def test_the_screen_takes_names_literally(write: Write, tmp_path: Path) -> None:
    write("all-[bold]", 0, of(MULTI))
    assert "all-[bold]" in shown([tmp_path])


def test_with_three_searches_there_are_distances_and_ranks(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "save_figure", nothing)
    space = CPSpace(TASKS)
    write_baselines(write)
    for seed, context in enumerate(("global", "t_label", "none")):
        shift = np.array([1 + 0.01 * seed, 1, 1, 1])
        write_search(write, seed, space.uniform(context), np.array(ATRC) * shift)
        write("retrain", seed, of(np.array(ATRC) * (2 - shift)), genotype=space.uniform(context))
    made = analyze([tmp_path], tmp_path / "out")
    assert {"distances", "ranks"} < set(made.figures)
    found = pd.read_csv(made.tables["ranks_correlation"]).set_index("coefficient")
    assert found.loc["spearman", "value"] == -1
    table = pd.read_csv(made.tables["distances"], index_col="run")
    assert table.loc["seed 0", "seed 1"] == 16


def test_genotypes_of_different_spaces_are_noted_and_left_out(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "save_figure", nothing)
    write("search", 0, of(ATRC), genotype=CPSpace(TASKS).uniform("global"))
    write("search", 0, of(ATRC), genotype=CPSpace(TASKS, ["none", "global"]).uniform("global"), experiment="fewer")
    write("search", 0, of(ATRC), genotype=ToySpace().optimum, experiment="toy")
    apart = analyze([tmp_path], tmp_path / "apart")
    assert set(pd.read_csv(apart.tables["proportions"])["condition"]) == {"demo", "fewer", "toy"}
    assert not [note for note in apart.notes if "no shares" in note]
    together = analyze([tmp_path], tmp_path / "together", by="dataset.name")
    assert "proportions" not in together.figures
    assert any("dataset.name=rooms: the shares" in note and "different spaces" in note for note in together.notes)
    assert "genotypes-demo" in together.figures


def test_conditions_are_told_apart_by_a_config_key(write: Write, tmp_path: Path) -> None:
    for seed in (0, 1):
        write_search(write, seed, CPSpace(TASKS).uniform("local"))
    write("search", 0, of(ATRC), genotype=CPSpace(TASKS).uniform("global"), experiment="other")
    runs = load_runs([tmp_path])
    assert {name: len(found) for name, found in conditions(runs).items()} == {"demo": 2, "other": 1}
    assert {name: len(found) for name, found in conditions(runs, "dataset.name").items()} == {"dataset.name=rooms": 3}
    with pytest.raises(InputError, match="did you mean 'name'"):
        analyze([tmp_path], tmp_path / "out", by="dataset.nam")
    assert not (tmp_path / "out").exists()
