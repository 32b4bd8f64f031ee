"""Counts the arithmetic of kernels, which torch does not see. The callers of kernels tell it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["listening", "tell_flops"]

_LISTENERS: list[Callable[[int], None]] = []


def tell_flops(number: int) -> None:
    """Tells all listeners that a kernel computes a number of floating-point operations; a multiply-add is two."""
    for listen in _LISTENERS:
        listen(number)


@contextmanager
def listening(listen: Callable[[int], None]) -> Iterator[None]:
    """Calls a function with the floating-point operations of every kernel that runs within the context."""
    _LISTENERS.append(listen)
    try:
        yield
    finally:
        _LISTENERS.remove(listen)
