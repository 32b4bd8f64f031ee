"""Importing large libraries in less time, and leaving them in less time when a process ends."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["end_without_collection", "without_collections"]


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


def end_without_collection() -> None:
    """Keeps the garbage collector from a last pass when the process ends, which it should do soon.

    After torch was imported, that pass takes half a second. All that it would free is memory, which the system takes
    back anyway. Exit handlers run as ever.
    """
    gc.freeze()
