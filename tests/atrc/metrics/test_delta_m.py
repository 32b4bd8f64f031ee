"""Delta_m against the rows of Tables 1 and 2, and its refusals."""

from __future__ import annotations

import pytest

from atrc.metrics.delta_m import delta_m
from searchspace.errors import InputError

TASKS = ("semseg", "depth", "normals", "edge")
DIRECTION = {"semseg": True, "depth": False, "normals": False, "edge": True}
SINGLE = dict(zip(TASKS, (38.02, 0.6104, 20.94, 76.22), strict=True))


@pytest.mark.parametrize(
    ("row", "published"),
    [
        ((38.02, 0.6104, 20.94, 76.22), 0.0),
        ((36.35, 0.6284, 21.02, 76.36), -1.89),
        ((38.90, 0.6010, 20.48, 76.34), 1.56),
    ],
    ids=["single task", "multi-task", "ATRC"],
)
def test_published_rows(row: tuple[float, ...], published: float) -> None:
    # The published figures are means of five runs, rounded before they reach the table.
    assert delta_m(dict(zip(TASKS, row, strict=True)), SINGLE, DIRECTION) == pytest.approx(published, abs=0.011)


def test_sign_follows_direction() -> None:
    assert delta_m({"depth": 0.5}, {"depth": 1.0}, {"depth": False}) == pytest.approx(50)
    assert delta_m({"edge": 0.5}, {"edge": 1.0}, {"edge": True}) == pytest.approx(-50)


@pytest.mark.parametrize(
    ("metrics", "baselines", "direction", "message"),
    [
        ({}, {}, {}, "at least one task"),
        ({"edge": 1.0}, {"edge": 1.0, "depth": 1.0}, DIRECTION, "one side only: depth"),
        ({"edge": 1.0, "parts": 1.0}, {"edge": 1.0}, DIRECTION, "one side only: parts"),
        ({"parts": 1.0}, {"parts": 1.0}, DIRECTION, "higher is better for: parts"),
        ({"edge": 1.0}, {"edge": 0.0}, DIRECTION, "is 0 for: edge"),
    ],
)
def test_refusals_name_the_task(metrics: dict, baselines: dict, direction: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        delta_m(metrics, baselines, direction)
