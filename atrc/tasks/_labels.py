"""Checks of constructor arguments and label arrays. Each message says what is wrong and where."""

from __future__ import annotations

import math

import numpy as np

from atrc.tasks._base import IGNORE
from searchspace.errors import InputError

__all__ = ["check_class_map", "check_weight", "first_bad_pixel"]


def check_weight(name: str, value: float) -> float:
    """Returns ``value`` as a float.

    Raises:
        InputError: The value is not finite or not greater than 0.
    """
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{name} must be a finite number > 0, got {value!r}")
    return float(value)


def first_bad_pixel(bad: np.ndarray) -> tuple[int, int] | None:
    """Returns row and column of the first True of an ``(H, W)`` bool array, or None."""
    if not bad.any():
        return None
    row, column = np.unravel_index(int(bad.argmax()), bad.shape)
    return int(row), int(column)


def check_class_map(label: np.ndarray, classes: int) -> str | None:
    """Returns why ``label`` is not an ``(H, W)`` map of class indices and `IGNORE`, or None if it is one."""
    if label.ndim != 2:
        return f"shape is {label.shape}, expected (H, W)"
    bad = ~(((label >= 0) & (label < classes) & (label == np.floor(label))) | (label == IGNORE))
    if (at := first_bad_pixel(bad)) is None:
        return None
    return f"value {label[at]} at row {at[0]}, column {at[1]}, classes are 0..{classes - 1} or {IGNORE}"
