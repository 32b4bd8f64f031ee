"""Ending a process in less time."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from contextlib import suppress
from typing import NoReturn

__all__ = ["end_process"]


def end_process(status: int = 0) -> NoReturn:
    """Ends this process after its exit handlers, without taking its modules apart.

    After torch was imported that takes half a second, and all that it would free is memory, which the system takes
    back anyway. Processes that multiprocessing forked end in the same way.

    Args:
        status: The exit status.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as the interpreter does
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
    os._exit(status)
