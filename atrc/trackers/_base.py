"""The interface of trackers, which get a copy of every line that a run logs. The run's own files are unaffected."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from atrc.runs import RunDirectory
from searchspace import InputError
from searchspace.registry import Registry

__all__ = ["TRACKERS", "Tracker", "check_trackers", "tracked"]

TRACKERS: Registry[type[Tracker]] = Registry("tracker", "atrc.trackers")


class Tracker(ABC):
    """A follower of one run during its execution.

    Args:
        run: Folder of the run; the tracker writes below it.
    """

    needs: str | None = None
    """Package that the tracker needs, installed by ``pip install 'atrc[trackers]'``."""

    def __init__(self, run: Path) -> None:
        self.run = run

    @classmethod
    def missing(cls) -> bool:
        """Returns whether the package that it needs is missing."""
        return False

    @abstractmethod
    def log(self, source: str, step: int, numbers: Mapping[str, float]) -> None:
        """Takes one logged line.

        Args:
            source: ``metrics``, ``architecture``, ``trials``, or ``result``.
            step: Number of optimiser steps or trials so far. A resumed run logs the steps after its checkpoint again.
            numbers: Name -> value. Names of nested values are joined by ``/``; the value of a list is its length.
        """

    def close(self) -> None:  # noqa: B027 - most have nothing to close
        """Ends the tracking after the run ended or was stopped."""


def check_trackers(names: Iterable[str]) -> None:
    """Raises InputError for a tracker that does not exist, or whose package is not installed."""
    for name in names:
        tracker = TRACKERS[name]
        if tracker.missing():
            raise InputError(f"tracker {name!r} needs the package {tracker.needs}: pip install 'atrc[trackers]'")


@contextmanager
def tracked(run: RunDirectory) -> Iterator[None]:
    """Passes the log of the run to its config's trackers as long as the context lasts.

    Raises:
        InputError: See `check_trackers`.
    """
    check_trackers(run.config.trackers)
    with ExitStack() as stack:
        for name in run.config.trackers:
            tracker = TRACKERS[name](run.path)
            stack.callback(tracker.close)
            stack.enter_context(run.listening(partial(_pass_on, tracker)))
        yield


def _pass_on(tracker: Tracker, source: str, line: Mapping[str, Any]) -> None:
    tracker.log(source, *_numbers(line))


def _numbers(line: Mapping[str, Any]) -> tuple[int, dict[str, float]]:
    """Returns the step of a line, and all numbers in it."""
    found: dict[str, float] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key, part in value.items():
                walk(f"{prefix}/{key}" if prefix else str(key), part)
        elif isinstance(value, int | float):
            found[prefix] = float(value)
        elif isinstance(value, list):
            found[prefix] = float(len(value))

    walk("", {key: value for key, value in line.items() if key != "step"})
    return int(line["step"]), found
