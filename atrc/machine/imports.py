"""Importing large libraries in less time."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["own_process", "without_collections"]

_own = False


def own_process() -> None:
    """Says that this process is one of ours, a command or a worker, and no program of a user's.

    The garbage collector will never pass over what is imported `without_collections`: a pass over the modules of a
    training takes a quarter of a second. Garbage that exists at that time stays, too.
    """
    global _own
    _own = True


@contextmanager
def without_collections() -> Iterator[None]:
    """Keeps the garbage collector from running while modules are imported.

    An import makes many objects and hardly any garbage, so that every pass of the collector is in vain. Without them
    torch is imported in nine tenths of the time, and everything that a training needs in three quarters.
    """
    enabled, known = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if _own and len(sys.modules) > known:
            gc.freeze()
        if enabled:
            gc.enable()
