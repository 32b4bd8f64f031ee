"""The formats of figures."""

from __future__ import annotations

from collections.abc import Collection

from searchspace.errors import InputError, UnknownNameError

__all__ = ["FORMATS", "check_formats"]

FORMATS = ("pdf", "png", "svg")
"""Files of a figure: for papers, slides and pages."""


def check_formats(formats: Collection[str], where: str = "formats of figures") -> tuple[str, ...]:
    """Returns formats in the order of `FORMATS`, each once.

    Args:
        formats: ``pdf``, ``png``, ``svg``; at least one.
        where: Where they come from, for messages.

    Raises:
        InputError: There is none, or an unknown one.
    """
    for name in formats:
        if name not in FORMATS:
            raise UnknownNameError("format", name, FORMATS, where)
    if not formats:
        raise InputError(f"{where}: none was given; known: {', '.join(FORMATS)}")
    return tuple(name for name in FORMATS if name in formats)
