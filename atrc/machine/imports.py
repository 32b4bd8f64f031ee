"""Importing large libraries in less time."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["spare_imports", "without_collections"]


@contextmanager
def without_collections() -> Iterator[None]:
    """Keeps the garbage collector from running while modules are imported.

    An import makes many objects and hardly any garbage, so that every pass of the collector is in vain. Without them
    torch is imported in nine tenths of the time, and everything that a training needs in three quarters.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def spare_imports() -> None:
    """Keeps the garbage collector from ever passing over what exists now, such as everything that was imported.

    A pass over the modules of a training takes a quarter of a second. This is for processes of our own, which call it
    once: garbage that exists now stays.
    """
    gc.freeze()
