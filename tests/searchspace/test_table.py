"""Tables of a space, and what they say about every genotype."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchspace import InputError, SearchSpace
from searchspace.answers import Answers
from searchspace.table import SpaceTable

SPACE = SearchSpace("two", {"a": ["x", "y"], "b": ["x", "y", "z"]})


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_columns_that_are_no_results_are_choices(tmp_path: Path) -> None:
    table = SpaceTable(write(tmp_path / "t.csv", "seed,b,metric.b,a,score", "0,z,1.5,x,2", "1,y,,x,nan"))
    assert table.choices == ("b", "a")
    assert table.results == ("seed", "metric.b", "score")
    assert table.options == {"b": ("z", "y"), "a": ("x",)}
    first, second = table.rows()
    assert (first.choices, first.number("metric.b")) == ({"b": "z", "a": "x"}, 1.5)
    assert math.isnan(second.number("score"))
    assert second.number("metric.b", 7.0) == 7.0
    assert len(table) == 2


def test_choices_may_be_named(tmp_path: Path) -> None:
    table = SpaceTable(write(tmp_path / "t.csv", "depth,accuracy,note", "2,91.5,slow"), ["depth"])
    assert (table.choices, table.results) == (("depth",), ("accuracy", "note"))


def test_a_compressed_table_is_the_same(tmp_path: Path) -> None:
    plain = write(tmp_path / "t.csv", "a,score", "x,1", "y,2")
    packed = tmp_path / "t.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    read = [[(row.choices, row.results) for row in SpaceTable(file).rows()] for file in (plain, packed)]
    assert read[0] == read[1]


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([], "has no columns: its first line must name them"),
        (["seed,score"], "has no column of a choice; its columns: seed, score"),
        (["a,score"], "has no rows"),
        (["a,a,score", "x,x,1"], "column 'a' twice"),
        (["a,score", "x,1", "y"], "line 3: 1 cells, but 2 columns"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, lines: list[str], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        SpaceTable(write(tmp_path / "t.csv", *lines))


@pytest.mark.parametrize("content", [b"\x1f\x8b\x08 cut", b"a,score\nx,1\n", None])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "t.csv.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"table .*t\.csv\.gz cannot be read"):
        SpaceTable(path)


def test_a_missing_column_and_a_wrong_cell_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "a,score", "x,1", "y,good")
    with pytest.raises(InputError, match=r"unknown column 'aa'.*did you mean 'a'"):
        SpaceTable(path, ["aa"])
    rows = list(SpaceTable(path).rows())
    with pytest.raises(InputError, match=r"line 3: column 'score' must hold numbers, got 'good'"):
        rows[1].number("score")


@given(st.lists(st.integers(-5, 5), min_size=6, max_size=6), st.booleans())
def test_regret_and_rank_are_those_of_a_sorted_list(
    tmp_path_factory: pytest.TempPathFactory, scores: list[int], lower: bool
) -> None:
    genotypes = list(SPACE.enumerate())
    lines = [f"{g['a']},{g['b']},{score}" for g, score in zip(genotypes, scores, strict=True)]
    answers = Answers(
        SpaceTable(write(tmp_path_factory.mktemp("t") / "t.csv", "a,b,score", *lines)), SPACE, lower_is_better=lower
    )
    ordered = sorted(scores, reverse=not lower)
    for genotype, score in zip(genotypes, scores, strict=True):
        assert answers.regret(genotype) == abs(score - ordered[0])
        assert answers.rank(genotype) == 1 + ordered.index(score)


def test_seeds_are_averaged_at_the_largest_budget(tmp_path: Path) -> None:
    lines = ("x,x,0,0.5,9", "x,x,0,1,1", "x,x,1,1,3", "y,z,0,1,4", "y,z,1,1,nan", "y,x,0,0.5,50", "y,y,0,1,0")
    answers = Answers(SpaceTable(write(tmp_path / "t.csv", "a,b,seed,budget,delta_m", *lines)), SPACE)
    of = {(g["a"], g["b"]): mean for g, mean in answers.means.items()}
    assert answers.column == "delta_m"
    assert of["x", "x"] == 2.0
    assert math.isnan(of["y", "z"])
    assert ("y", "x") not in of
    assert answers.best == SPACE.genotype({"a": "x", "b": "x"})
    failed = SPACE.genotype({"a": "y", "b": "z"})
    assert answers.rank(failed) == 3
    assert math.isnan(answers.regret(failed))
    with pytest.raises(InputError, match="no result of"):
        answers.rank(SPACE.genotype({"a": "y", "b": "x"}))
