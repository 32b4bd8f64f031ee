"""Less time for the garbage collector: while large libraries are imported, and in commands that end soon."""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["few_collections", "import_all", "own_process", "without_collections"]

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


@contextmanager
def few_collections() -> Iterator[None]:
    """Lets the garbage collector run seldom, for a command that reads and draws much and then ends.

    What it reads and draws stays until the end. So most passes of the collector are in vain, and each of the thorough
    ones visits every library. Memory grows by a few percent.
    """
    before = gc.get_threshold()
    gc.set_threshold(50_000, 10, 10)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def import_all(*names: str) -> None:
    """Imports large libraries `without_collections`."""
    with without_collections():
        for name in names:
            importlib.import_module(name)
