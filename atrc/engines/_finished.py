"""Waits for the jobs of an engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

from atrc.engines._local import Processes
from atrc.machine.stopping import Interrupted, Stop

__all__ = ["finished"]


def finished(engine: Processes, jobs: Iterable[Future[Any]], stop: Stop) -> Iterator[Future[Any]]:
    """Yields jobs as they end. After a request to stop, the engine is asked to stop, and the others end soon.

    Args:
        engine: The engine that has the jobs.
        jobs: Its futures.
        stop: Flag that requests an early end. It is set if a job was interrupted: a process may be stopped alone.
    """
    unfinished, passed_on = set(jobs), False
    while unfinished:
        done, unfinished = wait(unfinished, timeout=0.5, return_when=FIRST_COMPLETED)
        for job in done:
            if isinstance(job.exception(), Interrupted):
                stop.requested = True
            yield job
        if stop.requested and not passed_on:
            passed_on = True
            engine.stop()
