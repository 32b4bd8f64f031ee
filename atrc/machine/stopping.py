"""Turns SIGINT and SIGTERM into a request to stop, which is handled at the next step boundary."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["Interrupted", "Stop", "stop_requests"]


class Interrupted(Exception):
    """Raised if a run was asked to stop; it can be resumed."""


@dataclass
class Stop:
    """A flag that is set when the process is asked to stop."""

    requested: bool = False


@contextmanager
def stop_requests(*, insist: bool, stop: Stop | None = None) -> Iterator[Stop]:
    """Records SIGINT and SIGTERM instead of ending the process; on exit, restores the previous handlers.

    Args:
        insist: True if a second signal should raise ``KeyboardInterrupt`` at once.
        stop: Flag that records the request; by default a new one.
    """
    asked = stop or Stop()
    if threading.current_thread() is not threading.main_thread():  # only the main thread may handle signals
        yield asked
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(*_: object) -> None:
        if asked.requested and insist:
            raise KeyboardInterrupt
        asked.requested = True

    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:  # a worker leaves Ctrl-C to its parent
                signal.signal(number, ask)
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
