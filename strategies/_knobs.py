"""Checks of the knobs that a user sets. The error for a wrong one is one line that says what is allowed."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from numbers import Integral, Real

from searchspace import InputError

__all__ = ["flag", "number", "pair", "whole"]


def number(
    knob: str,
    value: object,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
) -> float:
    """Returns a knob as a float, if it is a finite number within bounds.

    Raises:
        InputError: It is not such a number.
    """
    if isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value):
        found = float(value)
        low = (above is None or found > above) and (at_least is None or found >= at_least)
        if low and (below is None or found < below) and (at_most is None or found <= at_most):
            return found
    signs = ((">", above), (">=", at_least), ("<", below), ("<=", at_most))
    bounds = " and ".join(f"{sign} {bound:g}" for sign, bound in signs if bound is not None)
    what = f"a number {bounds}" if bounds else "a finite number"
    raise InputError(f"{knob} must be {what}, got {value!r}{_hint(value)}")


def whole(knob: str, value: object, *, at_least: int = 1, at_most: int | None = None) -> int:
    """Returns a knob as an int, if it is a whole number within bounds.

    Raises:
        InputError: It is not such a number.
    """
    if isinstance(value, Integral) and not isinstance(value, bool):
        found = int(value)
        if found >= at_least and (at_most is None or found <= at_most):
            return found
    bounds = f">= {at_least}" if at_most is None else f"in {at_least}..{at_most}"
    raise InputError(f"{knob} must be a whole number {bounds}, got {value!r}")


def flag(knob: str, value: object) -> bool:
    """Returns a knob that is true or false.

    Raises:
        InputError: It is neither.
    """
    if not isinstance(value, bool):
        raise InputError(f"{knob} must be true or false, got {value!r}")
    return value


def pair(
    knob: str,
    values: object,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
) -> tuple[float, float]:
    """Returns a knob as two floats, if it is a pair of finite numbers within bounds, such as the ends of a schedule.

    Raises:
        InputError: It is not such a pair.
    """
    if isinstance(values, str) or not isinstance(values, Sequence) or len(values) != 2:
        raise InputError(f"{knob} needs two numbers, got {values!r}")
    one, other = (
        number(f"{knob}[{index}]", value, above=above, at_least=at_least, below=below)
        for index, value in enumerate(values)
    )
    return one, other


def _hint(value: object) -> str:
    """Returns advice if a value is text that reads like a number in scientific notation, else an empty string."""
    if not isinstance(value, str):
        return ""
    mantissa, _, exponent = value.strip().lower().partition("e")
    if not re.fullmatch(r"[-+]?\d+\.?\d*", mantissa) or not re.fullmatch(r"[-+]?\d+", exponent):
        return ""
    return "; this is text, so write the number without quotes"
