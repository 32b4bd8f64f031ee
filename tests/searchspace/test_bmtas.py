"""The branching space: trees, whatever parents are picked."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchspace import BMTASSpace, InputError, build_space

TASKS = ("a", "b", "c", "d")
SPACE = BMTASSpace(TASKS, stages=3)
seeds = st.integers(0, 10_000)


def test_choices_are_the_parents_of_nodes_and_heads() -> None:
    space = BMTASSpace(["a", "b"], stages=3)
    assert list(space) == ["stage2:a", "stage2:b", "stage3:a", "stage3:b", "head:a", "head:b"]
    assert set(space.values()) == {("a", "b")}
    assert build_space(space.name, **space.parameters) == space


@pytest.mark.parametrize(("tasks", "stages", "number"), [(1, 3, 1), (2, 3, 4), (3, 1, 5), (3, 2, 12), (4, 1, 15)])
def test_number_of_different_trees(tasks: int, stages: int, number: int) -> None:
    """Two tasks part after one of the L stages, before the first, or never; one stage has the partitions of a set
    (Bell's numbers); two stages have the pairs of a partition and its refinement."""
    space = BMTASSpace(TASKS[:tasks], stages=stages)
    assert len({space.tree(genotype) for genotype in space.enumerate()}) == number
    assert len({space.canonical(genotype) for genotype in space.enumerate()}) == number


@given(seeds)
def test_tasks_that_have_parted_do_not_meet_again(seed: int) -> None:
    genotype = SPACE.sample(random.Random(seed))
    tree = SPACE.tree(genotype)
    for before, after in pairwise(tree):
        assert all(any(set(group) <= set(wider) for wider in before) for group in after)
    for stage, groups in enumerate(tree):
        for one in TASKS:
            together = {
                other for other in TASKS if SPACE.path(genotype, other)[stage] == SPACE.path(genotype, one)[stage]
            }
            assert together == set(next(group for group in groups if one in group))


@given(seeds)
def test_the_canonical_form_is_the_same_tree_and_its_own_form(seed: int) -> None:
    genotype = SPACE.sample(random.Random(seed))
    canonical = SPACE.canonical(genotype)
    assert SPACE.tree(canonical) == SPACE.tree(genotype)
    assert SPACE.canonical(canonical) == canonical


def test_ends_of_the_range() -> None:
    assert [len(groups) for groups in SPACE.tree(SPACE.shared())] == [1, 1, 1]
    assert [len(groups) for groups in SPACE.tree(SPACE.split())] == [4, 4, 4]


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ([[TASKS]], "3 stages, got 1"),
        ([[TASKS], [("a", "b"), ("c",)], [TASKS]], "stage 2 .* every task once"),
        ([[("a", "b"), ("c", "d")], [TASKS], [TASKS]], "are apart at stage 1, but share a node after it"),
    ],
)
def test_what_is_no_tree(tree: list[list[tuple[str, ...]]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SPACE.from_tree(tree)


@pytest.mark.parametrize(
    "parameters", [{"tasks": "ab"}, {"tasks": []}, {"tasks": ["a", "a"]}, {"tasks": ["a"], "stages": 0}]
)
def test_parameters_that_make_no_space(parameters: dict[str, object]) -> None:
    with pytest.raises(InputError, match="bmtas space"):
        BMTASSpace(**parameters)  # type: ignore[arg-type]
