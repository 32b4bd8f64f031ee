"""Spaces that are read from tables, against what the rows say."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from searchspace import BenchmarkSpace, Genotype, InputError, build_space

ROWS = [("x", "p"), ("y", "p"), ("y", "q"), ("y", "p")]


def table(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text)
    return path


def of_rows(folder: Path, rows: list[tuple[str, ...]], **more: str) -> Path:
    names = [*(f"c{i}" for i in range(len(rows[0]))), *more]
    lines = [",".join(names), *(",".join([*row, *more.values()]) for row in rows)]
    return table(folder, "\n".join(lines) + "\n")


def test_options_are_the_cells_in_the_order_of_appearance(tmp_path: Path) -> None:
    space = BenchmarkSpace(of_rows(tmp_path, ROWS, score="1.5", seed="0"))
    assert dict(space) == {"c0": ("x", "y"), "c1": ("p", "q")}
    assert space.constrained
    assert [tuple(genotype.values()) for genotype in space.enumerate()] == [("x", "p"), ("y", "p"), ("y", "q")]
    with pytest.raises(InputError, match="no row of c0: x, c1: q"):
        space.genotype({"c0": "x", "c1": "q"})


def test_a_table_with_every_combination_has_no_constraint(tmp_path: Path) -> None:
    space = BenchmarkSpace(of_rows(tmp_path, list(itertools.product("ab", "cd"))))
    assert not space.constrained
    assert len(list(space.enumerate())) == space.size == 4


@given(st.sets(st.tuples(*[st.sampled_from("abc")] * 3), min_size=1))
def test_the_genotypes_are_the_rows(tmp_path_factory: pytest.TempPathFactory, rows: set[tuple[str, ...]]) -> None:
    space = BenchmarkSpace(of_rows(tmp_path_factory.mktemp("t"), sorted(rows)))
    found = [tuple(genotype.values()) for genotype in space.enumerate()]
    assert Counter(found) == Counter(rows)
    assert found == [tuple(space.decode(i).values()) for i in sorted(map(space.encode, space.enumerate()))]
    assert tuple(space.sample(random.Random(0)).values()) in rows
    one = next(space.enumerate())
    assert list(space.only(one).enumerate()) == [one]
    assert not space.only(one).constrained


def test_draws_are_uniform_over_the_rows(tmp_path: Path) -> None:
    space, rng = BenchmarkSpace(of_rows(tmp_path, ROWS)), random.Random(0)
    drawn = Counter(space.sample(rng) for _ in range(3000))
    assert chisquare([drawn[genotype] for genotype in space.enumerate()]).pvalue > 0.01


def test_its_parameters_build_it_again(tmp_path: Path) -> None:
    path = of_rows(tmp_path, ROWS, width="0.5")
    space = BenchmarkSpace(path, ["c0", "width"])
    again = build_space("benchmark", **space.parameters)
    assert again == space
    genotype = Genotype.from_json(space.genotype({"c0": "y", "width": "0.5"}).to_json())
    assert again.validate(genotype) == genotype


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,accuracy\nx,90\ny,91.5\n", r"'accuracy' holds numbers such as 90.*name it metric.accuracy.*choices:"),
        ("a,b\nx,\ny,1\n", "'b' has an empty cell"),
        ("a,b\nx\n", "line 2: 1 cells, but 2 columns"),
        ("score\n1\n", "no column of a choice"),
        ("", "no columns"),
    ],
)
def test_a_table_that_is_no_space_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        BenchmarkSpace(table(tmp_path, text))


def test_whole_numbers_are_options(tmp_path: Path) -> None:
    space = BenchmarkSpace(table(tmp_path, "depth,metric.accuracy\n1,0.5\n2,0.6\n"))
    assert dict(space) == {"depth": ("1", "2")}
