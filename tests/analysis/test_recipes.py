"""Runs that are not alike: what is missing or differs is named in notes and tables, and nothing in silence."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from analysis import analyze, load_runs, summarize, summary, write_report
from analysis.multitask import MARKED
from analysis.notes import notes, unlike_conditions
from analysis.recipes import differing, differing_keys
from atrc.runs import Result, RunDirectory
from searchspace import CPSpace

from .conftest import ATRC, MULTI, TASKS, Write, of, write_baselines, write_search


@pytest.fixture
def whole(write: Write, tmp_path: Path) -> Path:
    """An experiment of three seeds of every model, all alike."""
    write_baselines(write, seeds=(0, 1, 2))
    for seed in range(3):
        write("multi", seed, of(MULTI))
        genotype = CPSpace(TASKS).uniform("global")
        write_search(write, seed, genotype)
        write("retrain", seed, of(ATRC), genotype=genotype)
    return tmp_path / "demo"


def change(run: Path, old: str, new: str) -> None:
    """A piece of a run's config, by hand."""
    path = run / "config.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


def change_result(run: Path, **changes: object) -> None:
    path = run / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def the_note(folder: Path, words: str) -> str:
    """The one note that holds the words."""
    (found,) = [note for note in notes(load_runs([folder])) if words in note]
    return found


def test_what_is_alike_needs_no_word(whole: Path) -> None:
    runs = load_runs([whole])
    assert not [note for note in notes(runs) if "alike" in note or "same seeds" in note]
    table = summarize(runs)
    assert (table["missing"] == "").all()
    assert (table["differs"] == "").all()


def test_each_change_by_hand_is_named(whole: Path) -> None:
    """One single-task run, one seed, one metric and one recipe."""
    shutil.rmtree(whole / "single-depth" / "seed1")
    shutil.rmtree(whole / "retrain" / "seed2")
    change_result(whole / "multi" / "seed0", metrics={**of(MULTI), "edge": None})
    change(whole / "single-normals" / "seed2", "flip: 0.5", "flip: 0.25")

    seeds = the_note(whole, "are over different seeds")
    assert "single-depth lacks seed 1" in seeds
    assert "retrain lacks seed 2" in seeds
    assert str(whole / "multi" / "seed0") in the_note(whole, "no metric of edge")
    mean = the_note(whole, "is over runs that differ")
    assert "single-normals" in mean
    assert "augmentation.flip is 0.5 (seed 0, seed 1) and 0.25 (seed 2)" in mean
    assert "and 0.25 (single-normals)" in the_note(whole, "differ in more than the model")
    table = summarize(load_runs([whole])).set_index("model")
    assert table["missing"].to_dict() == {"single": "depth: 1", "multi": "", "retrain": "2", "search": ""}
    differs = {"single": "augmentation.flip", "multi": "", "retrain": "", "search": ""}
    assert table["differs"].to_dict() == differs
    assert table["edge_mean"].isna().to_dict() == dict.fromkeys(differs, False) | {"multi": True}


def test_tables_for_people_have_a_mark(whole: Path, tmp_path: Path) -> None:
    def tables() -> tuple[str, str]:
        console = Console(width=160, record=True, file=io.StringIO())
        console.print(*summary(load_runs([whole])))
        made = analyze([whole], tmp_path / "out", networks=False, quiet=True)
        return console.export_text(), write_report(made).read_text()

    assert all("retrain*" not in text and MARKED not in text for text in tables())
    shutil.rmtree(whole / "retrain" / "seed2")
    assert all("retrain*" in text and MARKED in text and "multi*" not in text for text in tables())


def test_an_unfinished_run_counts_as_a_missing_seed(write: Write, whole: Path) -> None:
    write("multi", 3, None)
    seeds = the_note(whole, "are over different seeds")
    assert "multi lacks seed 3" in seeds
    assert "single-depth lacks seed 3" in seeds


def test_models_of_another_recipe_are_named_though_each_mean_is_of_one(whole: Path) -> None:
    for seed in range(3):
        # the first is of the search, which a training does not depend on
        for steps in ("20000", "30000"):
            change(whole / "multi" / f"seed{seed}", "steps: 40000", f"steps: {steps}")
    models = the_note(whole, "differ in more than the model")
    assert models.count(" is ") == 1
    assert "train.steps is 40000 (single-semseg, " in models
    assert "and 30000 (multi)" in models


def test_runs_that_saw_other_data_are_named(whole: Path) -> None:
    """A dataset was changed in its place: no key of the config tells it."""
    for seed, content in enumerate(("a" * 16, "a" * 16, "b" * 16)):
        change_result(whole / "multi" / f"seed{seed}", data={"val": {"image": content}})
    assert "data.val.image is aaaaaa (seed 0, seed 1) and bbbbbb (seed 2)" in the_note(
        whole, "is over runs that differ"
    )


def test_searches_by_trials_have_no_metrics_and_no_note(whole: Path) -> None:
    for seed in range(3):
        change(whole / "search" / f"seed{seed}", "name: gumbel_entropy", "name: random")
        change_result(whole / "search" / f"seed{seed}", metrics={})
    assert not [note for note in notes(load_runs([whole])) if "no metric of" in note]


def test_keys_of_a_part_that_is_another_one_are_told_by_its_name() -> None:
    darts = {"strategy.name": '"darts"', "strategy.lr": "0.1", "train.lr": "0.1"}
    spos = {"strategy.name": '"spos"', "train.lr": "0.1"}
    assert differing_keys([darts, spos]) == ["strategy.name"]
    assert differing([("one", darts), ("other", {**darts, "strategy.lr": "0.3"})]) == [
        "strategy.lr is 0.1 (one) and 0.3 (other)"
    ]
    assert differing([("one", {}), ("other", {"train.clip_norm": "10.0"})]) == [
        "train.clip_norm is not set (one) and 10.0 (other)"
    ]
    seen = {"data.val.image": '"abc"'}
    assert differing_keys([seen, {}, seen]) == [], "an earlier version did not say what it saw"


def test_searches_that_one_key_puts_together_are_named_where_another_differs(whole: Path, write: Write) -> None:
    assert unlike_conditions(load_runs([whole]), "dataset.name") == []
    change(whole / "search" / "seed2", "held_out: 0.5", "held_out: 0.25")
    (said,) = unlike_conditions(load_runs([whole]), "dataset.name")
    assert said.startswith("dataset.name=rooms: ")
    assert "held_out is 0.5 (demo) and 0.25 (demo)" in said


def test_old_results_load(whole: Path) -> None:
    run = RunDirectory.open(whole / "multi" / "seed0")
    path = run.path / "result.json"
    data = json.loads(path.read_text())
    del data["data"]
    path.write_text(json.dumps(data))
    assert isinstance(run.result(), Result)
    assert not [note for note in notes(load_runs([whole])) if "alike" in note]
