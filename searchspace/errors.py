"""Errors that are raised when a user's input cannot be used.

Every message is one line that a person can act on: it says what was given, where, what is allowed, and which allowed
name is nearest. The command line prints the message and exits with status 2. Users of the library catch `InputError`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

__all__ = ["InputError", "UnknownNameError", "did_you_mean"]


class InputError(ValueError):
    """Input that cannot be used. The message is one line."""


class UnknownNameError(InputError, KeyError):
    """A name that is not among the allowed ones.

    Args:
        noun: Kind of thing that the name stands for, e.g. ``"task"``.
        name: Name that was given.
        allowed: Names that exist.
        where: Place of the name, e.g. ``"tasks[2] in demo.yaml"``; optional.
    """

    def __init__(self, noun: str, name: str, allowed: Iterable[str], where: str = "") -> None:
        names = list(allowed)
        self._arguments = (noun, name, names, where)
        place = f" ({where})" if where else ""
        self.message = (
            f"unknown {noun} {name!r}{place}{did_you_mean(name, names)}; "
            f"known: {', '.join(names) if names else 'none'}"
        )
        super().__init__(self.message)

    def __reduce__(self) -> tuple[Any, ...]:  # errors of worker processes are pickled
        return type(self), self._arguments

    def __str__(self) -> str:  # KeyError would print the repr of the message
        return self.message


def did_you_mean(name: str, allowed: Iterable[str]) -> str:
    """Returns ``", did you mean 'x'?"`` with the nearest allowed name, or an empty string if no name is near."""
    near = difflib.get_close_matches(str(name), list(allowed), n=1, cutoff=0.5)
    return f", did you mean {near[0]!r}?" if near else ""
