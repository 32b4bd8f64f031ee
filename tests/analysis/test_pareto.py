"""Pareto fronts and hypervolumes against brute force and by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.pareto import hypervolume, hypervolumes, pareto_front

POINTS = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=12)


@given(POINTS)
def test_the_front_is_what_nothing_beats(points: list[tuple[int, int]]) -> None:
    front = pareto_front(points)
    expected = {(s, c) for s, c in points if not any((a >= s and b <= c) and (a, b) != (s, c) for a, b in points)}
    assert set(front) == expected
    assert [cost for _, cost in front] == sorted(cost for _, cost in front)


@given(POINTS)
def test_hypervolume_counts_the_dominated_cells(points: list[tuple[int, int]]) -> None:
    cells = sum(any(score >= s + 1 and cost <= c for score, cost in points) for s in range(8) for c in range(8))
    assert hypervolume(points, (0.0, 8.0)) == pytest.approx(cells)


def test_relative_hypervolumes_by_hand() -> None:
    rows = [("a", 0, 1.0, 0.0), ("a", 0, 3.0, 2.0), ("b", 0, 2.0, 1.0), ("b", 0, 0.0, 4.0)]
    frame = pd.DataFrame(rows, columns=["strategy", "seed", "score", "cost"])
    found = hypervolumes(frame).set_index("strategy")["hypervolume"]
    # Reference (0, 4): a dominates 1 x 4 + 2 x 2 = 8, b 2 x 3 = 6, both 1 x 4 + 1 x 3 + 1 x 2 = 9.
    assert found["a"] == pytest.approx(8 / 9)
    assert found["b"] == pytest.approx(6 / 9)


def test_nothing_dominated_has_no_share() -> None:
    frame = pd.DataFrame([("a", 0, 1.0, 1.0)], columns=["strategy", "seed", "score", "cost"])
    assert np.isnan(hypervolumes(frame)["hypervolume"][0])
