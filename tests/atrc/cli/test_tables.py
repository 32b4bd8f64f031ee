"""`atrc table`: what it prints and writes, what it refuses, and that --fill trains what is missing and no more."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from atrc.config import load_config
from atrc.runs import Result, RunDirectory, RunSpec, find_runs
from atrc.runs.names import expand_models, run_path

from .conftest import Command

ROOMS = "rooms4+short"
TINY = [
    "seeds=[0]",
    "dataset={name: rooms, size: [32, 48], train: 8, val: 4}",
    "tasks={depth: {}, edge: {thresholds: 5}}",
    "backbone.width=0.5",
    "space={name: cp, contexts: [global, none]}",
    "search={steps: 2, batch_size: 4}",
    "train={steps: 2, batch_size: 4}",
]
OVERRIDES = [word for one in TINY for word in ("-s", one)]
METRICS = {"depth": 0.5, "edge": 50.0}
MODELS = ["cross_stitch", "pap", "psd", "pad_b", "pad_c", "all-global", "all-local", "all-t_label", "all-s_label"]


@pytest.fixture
def table(atrc: Command) -> Command:
    """Runs ``atrc table`` in an empty folder."""
    return partial(atrc, "table")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["6"], ["unknown table '6'", "1, 2, 3, 4, 5"]),
        (["one"], ["unknown table 'one'"]),
        (["1", "--on", "romes"], ["unknown place 'romes'", "table 1", "did you mean 'rooms'"]),
        (["1", "--on", "pascal"], ["unknown place 'pascal'", "nyud, rooms, ccp"]),
        (["1", "--format", "latec"], ["unknown format 'latec'", "did you mean 'latex'"]),
        (["1", "-s", "train.stesp=3"], ["unknown key 'train.stesp'", "'steps'"]),
    ],
    ids=lambda value: " ".join(value) if value and value[0][0] != "u" else None,
)
def test_one_line_and_status_2(table: Command, arguments: list[str], parts: list[str], tmp_path: Path) -> None:
    said = table(*arguments)
    assert said.status == 2
    assert said.out == ""
    assert said.err.startswith("atrc: ")
    assert said.err.count("\n") == 1
    for part in parts:
        assert part in said.err
    assert not list(tmp_path.iterdir())


def test_without_runs_the_published_column_and_the_commands(table: Command, tmp_path: Path) -> None:
    said = table("1", "--on", "rooms")
    assert said.status == 0
    lines = said.out.splitlines()
    (row,) = (line for line in lines if "Cross-Stitch [35]" in line)
    assert [cell.strip() for cell in row.strip("|").split("|")][-4:] == ["–", "76.38", "–", "-1.75"]
    assert f"atrc search {ROOMS}" in lines
    assert said.err == ""
    assert not list(tmp_path.iterdir())


def test_the_default_place_is_the_papers(table: Command) -> None:
    assert table("1").out.startswith("Table 1 on nyud (nyud_hrnet18); in the paper: Controlled distillation module")


def test_rows_of_random_weights_are_marked(table: Command, tmp_path: Path) -> None:
    """The paper's networks begin with ImageNet's; a backbone that has none to load needs no mark."""
    said = table("1").out
    assert "| ATRC (ours)* " in said
    assert "*: the backbone begins with random weights" in said
    assert "*" not in table("1", "--on", "rooms").out
    weights = table("1", "-s", "backbone.weights=imagenet.pth").out
    assert "| ATRC (ours) " in weights
    assert "random weights" not in weights
    assert r"ATRC (ours)* &" in table("1", "--format", "latex").out


def test_csv_is_alone_on_stdout(table: Command) -> None:
    said = table("1", "--format", "csv")
    frame = pd.read_csv(io.StringIO(said.out))
    assert list(frame["paper_semseg_mean"][:2]) == [38.02, 36.35]
    assert frame["semseg_mean"].isna().all()
    assert "atrc search nyud_hrnet18" in said.err.splitlines()


@pytest.mark.parametrize(
    ("name", "arguments", "start"),
    [
        ("a/table.tex", (), "% 80 runs are missing"),
        ("table.csv", (), "label,config,model"),
        ("table.md", (), "Table 1 on nyud"),
        ("table", (), "Table 1 on nyud"),
        ("table.txt", ("--format", "latex"), "% 80 runs are missing"),
    ],
)
def test_a_file_is_written_in_the_format_of_its_suffix(
    table: Command, tmp_path: Path, name: str, arguments: tuple[str, ...], start: str
) -> None:
    said = table("1", "-o", name, *arguments)
    assert said.out == f"table 1 in {name}; 80 runs are missing\n"
    assert (tmp_path / name).read_text().startswith(start)
    assert len(list((tmp_path / name).parent.iterdir())) == 1


def test_a_broken_run_is_one_line(table: Command, tmp_path: Path) -> None:
    (tmp_path / "runs" / ROOMS / "multi" / "seed0").mkdir(parents=True)
    said = table("1", "--on", "rooms")
    assert (said.status, said.out) == (2, "")
    assert f"runs/{ROOMS}/multi/seed0 is not a run directory" in said.err


def make(models: list[str], source: str = ROOMS, overrides: list[str] = TINY) -> list[RunDirectory]:
    """Runs of networks that did not begin."""
    config = load_config(source, overrides)
    return [
        RunDirectory.create(run_path(Path("runs") / config.name, model, 0), RunSpec("train", model, 0), config)
        for model in expand_models(config, models)
    ]


def finish(runs: list[RunDirectory]) -> dict[Path, int]:
    """Gives runs a result, and says when."""
    for run in runs:
        run.write_result(Result(METRICS, 2, 8, 1.0, 1_000_000, 10**9))
    return {run.path: (run.path / "result.json").stat().st_mtime_ns for run in runs}


def test_fill_trains_what_is_missing_and_no_more(table: Command) -> None:
    """All rows have a run but three: one network, one that was made already, and what has to be searched first."""
    finished = finish(make(["single", *MODELS]))
    make(["multi"])
    assert "3 runs are missing" in table("1", "--on", "rooms", *OVERRIDES).out
    said = table("1", "--on", "rooms", *OVERRIDES, "--fill", "-j", "1", "-q")
    assert said.status == 0, said.err
    assert "missing" not in said.out
    assert {path: (path / "result.json").stat().st_mtime_ns for path in finished} == finished
    assert {run.spec.model for run in find_runs([Path("runs")]) if run.path not in finished} == {
        "multi",
        "pad_a",
        "search",
        "retrain",
    }
    frame = pd.read_csv(io.StringIO(table("1", "--on", "rooms", *OVERRIDES, "--format", "csv").out))
    measured = RunDirectory.open(Path(f"runs/{ROOMS}/retrain/seed0")).result()
    assert frame.set_index("model").loc["retrain", "edge_mean"] == pytest.approx(measured.metrics["edge"])


def test_fill_does_not_search_where_what_was_found_is_trained(table: Command) -> None:
    finish(make(["single", *MODELS, "multi", "retrain"]))
    said = table("1", "--on", "rooms", *OVERRIDES, "--fill", "-q")
    assert said.status == 0, said.err
    assert Path(f"runs/{ROOMS}/pad_a/seed0/result.json").exists()
    assert not Path(f"runs/{ROOMS}/search").exists()


def test_fill_searches_a_tree_before_what_is_branched_by_it(table: Command) -> None:
    people = [one for one in TINY if not one.startswith("space=")]  # a variant changes that
    people = [one.replace("name: rooms", "name: rooms, profile: people").replace("depth", "semseg") for one in people]
    base = "rooms5+short+fcn"
    for run in [
        *make(["single", "multi", "retrain"], base, people),
        *make(["multi", "retrain"], f"{base}+aspp", people),
    ]:
        run.write_result(Result({"semseg": 50.0, "edge": 50.0}, 2, 8, 1.0, 1_000_000, 10**9))
    said = table("5", "--on", "rooms", *(word for one in people for word in ("-s", one)), "--fill", "-j", "1", "-q")
    assert said.status == 0, said.err
    assert "missing" not in said.out
    branched = RunDirectory.open(Path(f"runs/{base}+branched/retrain/seed0"))
    assert branched.config.backbone.options["branches"] == str(
        Path(f"runs/{base}+bmtas/search/seed0/genotype.json").absolute()
    )
    genotype = branched.genotype()
    assert genotype is not None
    assert genotype.space == "cp"
