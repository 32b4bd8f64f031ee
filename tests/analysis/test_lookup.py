"""The analysis of many searches of a table, against what a few searches say by hand."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.bootstrap import bootstrap_mean, bootstrap_means
from analysis.lookup import (
    Searches,
    analyze_lookup,
    find_lookups,
    load_lookup,
    lookup_curves,
    lookup_screen,
    lookup_table,
    lookup_tests,
)
from atrc.experiments.lookup import CARD, SEARCHES
from searchspace import InputError
from searchspace.yaml_text import write_yaml

Row = tuple[str, int, int, float, int]
"""Strategy, seed, trials, regret, rank."""


def searches(rows: list[Row], draw: str = "seed", trials: int = 8) -> Searches:
    frame = pd.DataFrame(rows, columns=["strategy", "seed", "trials", "regret", "rank"])
    frame = frame.assign(samples=10.0 * frame["trials"], seconds=frame["trials"] / 2, score=-frame["regret"])
    strategies = {str(label): {"strategy": {"name": label}, "seeds": 1} for label in frame["strategy"].unique()}
    table = {"name": "t", "file": "t.csv", "sha256": ""}
    card = {"format": "atrc-lookup/1", "name": "x", "table": table, "column": "delta_m", "draw": draw}
    return Searches(
        {**card, "trials": trials, "genotypes": 9, "largest_regret": 9.0, "strategies": strategies}, frame
    )


def write(folder: Path, of: Searches) -> Path:
    folder.mkdir()
    (folder / CARD).write_text(write_yaml(dict(of.card)))
    with gzip.open(folder / SEARCHES, "wt") as file:
        file.write(of.frame.to_csv(index=False, na_rep="nan"))
    return folder


TWO: list[Row] = [
    *[("random", 0, 1, 8.0, 9), ("random", 0, 4, 2.0, 3), ("random", 0, 8, 2.0, 3)],
    *[("random", 1, 2, 6.0, 7), ("random", 1, 8, 0.0, 1)],
    *[("good", 0, 1, 4.0, 5), ("good", 0, 8, 0.0, 1), ("good", 1, 1, 2.0, 3), ("good", 1, 6, 1.0, 2)],
]
"""Two searches each. One of `good` ended after six trials."""


def test_curves_keep_the_last_regret() -> None:
    curves = lookup_curves(searches(TWO))
    assert list(dict.fromkeys(curves["strategy"])) == ["good", "random"]
    of = curves[curves["strategy"] == "random"].set_index("trials")
    # one of its searches names nothing after one trial
    assert of["regret"].to_dict() == {2: 7, 3: 7, 4: 4, 5: 4, 6: 4, 7: 4, 8: 1}
    good = curves[curves["strategy"] == "good"]["regret"].tolist()
    assert good == [3, 3, 3, 3, 3, 2.5, 2.5, 0.5]
    by_images = lookup_curves(searches(TWO), "samples")
    of_images = by_images[by_images["strategy"] == "good"]
    assert of_images["samples"].max() == 80
    assert of_images["regret"].iloc[-1] == 0.5
    assert of_images.loc[(of_images["samples"] - 60).abs().idxmin(), "regret"] == 2.5


def test_the_table_counts_searches_that_found_the_best() -> None:
    of = searches(TWO)
    table = lookup_table(of, lookup_curves(of)).set_index("strategy")
    assert list(table.index) == ["good", "random"]
    assert table.loc["good", ["searches", "regret", "median", "rank", "found"]].tolist() == [2, 0.5, 0.5, 1.5, 0.5]
    assert table.loc["random", ["regret_2", "regret_4", "regret_6"]].tolist() == [7, 4, 4]
    assert table.loc["good", ["samples", "seconds"]].tolist() == [70, 3.5]


def test_intervals_of_several_means_are_those_of_one() -> None:
    values = np.random.default_rng(0).normal(size=(40, 3))
    low, high = bootstrap_means(values)
    for column in range(3):
        assert (low[column], high[column]) == pytest.approx(bootstrap_mean(values[:, column]), abs=0.02)
    assert all(np.isnan(end).all() for end in bootstrap_means(values[:1]))


def many(seed: int, draw: str, more: int = 0) -> Searches:
    """Three strategies whose searches share the luck of their seeds; `small` is better by a little."""
    rng = np.random.default_rng(seed)
    luck = rng.exponential(10, 30 + more)
    rows: list[Row] = []
    for label, shift, number in (("random", 1.0, 30), ("same", 1.0, 30), ("small", 0.0, 30 + more)):
        noise = rng.exponential(0.3, number)
        rows += [(label, s, 8, luck[s] + shift + noise[s], 2) for s in range(number)]
    return searches(rows, draw)


@pytest.mark.parametrize("draw", ["seed", "mean"])
def test_pairs_are_tested_as_their_draw_allows(draw: str) -> None:
    of = many(0, draw, more=5)
    tests = lookup_tests(of).set_index(["one", "other"])
    regret = {str(label): part["regret"].to_numpy() for label, part in of.frame.groupby("strategy")}
    row = tests.loc[("random", "small")]
    if draw == "seed":
        expected = stats.wilcoxon(regret["random"] - regret["small"][:30]).pvalue
        assert (row["n_one"], row["n_other"]) == (30, 30)
        assert row["p_holm"] < 0.001
    else:
        expected = stats.mannwhitneyu(regret["random"], regret["small"]).pvalue
        assert (row["n_one"], row["n_other"]) == (30, 35)
        assert row["p_holm"] > 0.05
    assert row["p"] == pytest.approx(expected)
    assert tests.loc[("random", "same"), "p_holm"] > 0.05


@pytest.mark.parametrize("draw", ["seed", "mean"])
def test_equal_searches_do_not_differ(draw: str) -> None:
    rows: list[Row] = [(label, seed, 8, 0.0, 1) for label in "abc" for seed in range(5)]
    assert lookup_tests(searches(rows, draw))["p"].tolist() == [1, 1, 1]
    alone = lookup_tests(searches([("a", 0, 8, 0.0, 1), ("b", 0, 8, 1.0, 2)], draw))
    assert math.isnan(alone["p"].iloc[0])


def test_tables_and_figures_are_the_same_twice(tmp_path: Path) -> None:
    folder = write(tmp_path / "made", many(1, "seed"))
    assert find_lookups([folder.parent]) == [folder]
    assert find_lookups([tmp_path / "elsewhere"]) == []
    made, again = (analyze_lookup(folder, tmp_path / name, formats=("svg",)) for name in ("one", "two"))
    assert set(made.tables) == {"lookup", "lookup_tests", "lookup_trials", "lookup_samples"}
    assert set(made.figures) == {"lookup_trials", "lookup_samples", "lookup_ranks"}
    for name, path in made.tables.items():
        assert path.read_bytes() == again.tables[name].read_bytes()
    for name, (path,) in made.figures.items():
        assert path.read_bytes() == again.figures[name][0].read_bytes()
    assert made.table["strategy"].iloc[0] == "small"


def test_notes_say_what_few_or_short_searches_cannot_show(tmp_path: Path) -> None:
    rows: list[Row] = [(label, seed, trials, 1.0 + seed, 2) for label, trials in (("a", 8), ("b", 4), ("c", 8))
                       for seed in range(3)]  # fmt: skip
    made = analyze_lookup(write(tmp_path / "made", searches(rows)), tmp_path / "out", formats=("svg",))
    assert any("signed-rank test cannot call any pair different" in note for note in made.notes)
    assert any("The trainings of b took fewer images" in note for note in made.notes)


@pytest.mark.parametrize("seeds", [1, 4])
def test_searches_without_any_regret_are_drawn(tmp_path: Path, seeds: int) -> None:
    rows: list[Row] = [(label, seed, 8, 0.0, 1) for label in ("random", "b", "c") for seed in range(seeds)]
    made = analyze_lookup(write(tmp_path / "made", searches(rows)), tmp_path / "out", formats=("png",))
    assert made.table["regret"].tolist() == [0, 0, 0]
    assert made.table["found"].tolist() == [1, 1, 1]
    assert set(made.figures) == {"lookup_trials", "lookup_samples"}  # ranks of equal searches say nothing
    assert lookup_screen(made)


def test_a_failed_training_counts_as_the_worst(tmp_path: Path) -> None:
    rows: list[Row] = [("a", 0, 8, 1.0, 2), ("a", 1, 8, math.nan, 9), ("b", 0, 8, 2.0, 3), ("b", 1, 8, 4.0, 4)]
    made = analyze_lookup(write(tmp_path / "made", searches(rows)), tmp_path / "out", formats=("png",))
    assert made.table.set_index("strategy").loc["a", ["searches", "regret"]].tolist() == [2, 5.0]
    assert any("1 searches named a genotype of which a training failed" in note for note in made.notes)
    assert lookup_screen(made)


def test_a_damaged_folder_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "made", searches(TWO))
    (folder / SEARCHES).write_bytes((folder / SEARCHES).read_bytes()[:30])
    with pytest.raises(InputError, match=r"searches.csv.gz cannot be read"):
        load_lookup(folder)
    (folder / CARD).write_text("format: other\n")
    with pytest.raises(InputError, match=r"lookup.yaml does not describe searches of a table"):
        load_lookup(folder)
