"""Being asked to stop: SIGINT and SIGTERM as a request that is met at the next convenient moment."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["Interrupted", "Stop", "stop_requests"]


class Interrupted(Exception):
    """The run was asked to stop, and can be resumed."""


@dataclass
class Stop:
    """Whether somebody asked the process to stop."""

    requested: bool = False


@contextmanager
def stop_requests(*, insist: bool) -> Iterator[Stop]:
    """Remembers SIGINT and SIGTERM instead of dying of them; afterwards they are handled as before.

    Args:
        insist: Whether a second signal raises ``KeyboardInterrupt`` at once.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():  # only the main thread may handle signals
        yield stop
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(*_: object) -> None:
        if stop.requested and insist:
            raise KeyboardInterrupt
        stop.requested = True

    try:
        for number in before:
            signal.signal(number, ask)
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
