"""The CP space (Sec. 3.3): N x N blocks, five candidates, no S-label on the diagonal."""

from __future__ import annotations

import random

import pytest

import searchspace
from searchspace import CANDIDATES, SPACES, CPSpace, InputError, UnknownNameError, block

TASKS = ("semseg", "depth", "normals", "edge")


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_size_in_closed_form(n: int) -> None:
    space = CPSpace([f"t{i}" for i in range(n)])
    assert len(space) == n * n
    assert space.size == 4**n * 5 ** (n * n - n)


@pytest.mark.parametrize("n", [1, 2])
def test_enumeration_is_complete(n: int) -> None:
    space = CPSpace([f"t{i}" for i in range(n)])
    assert len(set(space.enumerate())) == sum(1 for _ in space.enumerate()) == space.size


def test_blocks_are_ordered_row_by_row() -> None:
    assert list(CPSpace(["a", "b"])) == ["a<-a", "a<-b", "b<-a", "b<-b"]
    assert list(CPSpace(["a", "b"]).pairs()) == [("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")]


def test_options() -> None:
    space = CPSpace(TASKS)
    assert CANDIDATES == ("none", "global", "local", "t_label", "s_label")
    for target, source in space.pairs():
        expected = CANDIDATES[:4] if target == source else CANDIDATES
        assert space[block(target, source)] == expected
    assert sum(len(options) for options in space.values()) == 76


def test_samples_never_have_s_label_on_the_diagonal() -> None:
    space, rng = CPSpace(TASKS), random.Random(0)
    seen = {g[block(t, t)] for g in (space.sample(rng) for _ in range(300)) for t in TASKS}
    assert seen == set(CANDIDATES) - {"s_label"}
    with pytest.raises(UnknownNameError, match="choice 'depth<-depth'"):
        space.genotype({**space.uniform("local"), "depth<-depth": "s_label"})


@pytest.mark.parametrize("context", CANDIDATES)
def test_uniform(context: str) -> None:
    matrix = CPSpace(TASKS).matrix(CPSpace(TASKS).uniform(context))
    for target, row in matrix.items():
        for source, found in row.items():
            assert found == ("t_label" if (context, target) == ("s_label", source) else context)


def test_uniform_names_the_nearest_context() -> None:
    with pytest.raises(UnknownNameError, match="unknown context type 'globl', did you mean 'global'"):
        CPSpace(TASKS).uniform("globl")


def test_matrix_round_trip() -> None:
    space = CPSpace(TASKS)
    genotype = space.sample(random.Random(1))
    assert space.from_matrix(space.matrix(genotype)) == genotype
    rows = space.matrix(genotype)
    del rows["edge"]["depth"]
    with pytest.raises(InputError, match="lacks the choice 'edge<-depth'"):
        space.from_matrix(rows)


def test_other_candidates_travel_in_the_parameters() -> None:
    space = CPSpace(["a", "b"], contexts=["none", "local", "strip"])
    assert space.size == 3**4
    genotype = space.uniform("strip")
    assert SPACES["cp"](**genotype.parameters) == space
    assert "contexts" not in CPSpace(["a"]).parameters


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tasks": []}, "at least one task"),
        ({"tasks": ["a", "b", "a"]}, "task twice: a, b, a"),
        ({"tasks": "depth"}, "tasks of the cp space must be a list of names, got 'depth'"),
        ({"tasks": [1, 2]}, "tasks of the cp space must be a list of names"),
        ({"tasks": ["a"], "contexts": "local"}, "contexts of the cp space must be a list of names"),
        ({"tasks": ["a"], "contexts": ["local", "local"]}, "option twice"),
    ],
)
def test_arguments_that_cannot_be_used(arguments: dict[str, list[str]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        CPSpace(**arguments)


def test_the_former_name_of_the_candidates() -> None:
    with pytest.warns(DeprecationWarning, match="is now searchspace.CANDIDATES"):
        assert searchspace.CONTEXTS is CANDIDATES
    with pytest.raises(AttributeError, match="no attribute 'CANDIDATE'"):
        _ = searchspace.CANDIDATE
