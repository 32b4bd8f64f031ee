"""Rows of the check, written one by one to a file, so that those before a crash or a time limit are kept."""

from __future__ import annotations

import gc
import json
import math
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

__all__ = ["STATUSES", "Attempt", "DeviceLost", "Given", "Rows"]

STATUSES = ("ok", "failed", "note", "skipped", "not run")
"""Verdicts of a row: a check that passed or failed, a number without a limit, and checks that were not made."""

T = TypeVar("T")


class DeviceLost(Exception):
    """An error of the device that stays, such as an illegal address: nothing more can run in this process."""


@dataclass(frozen=True)
class Given:
    """What a section is told.

    Attributes:
        device: Name of the device.
        quick: Whether sizes are small, for a test that everything runs.
        seconds: Seconds after which the section is stopped.
        folder: A folder for its files; ``rows.jsonl`` in it takes the rows.
    """

    device: str
    quick: bool
    seconds: float
    folder: Path


@dataclass(frozen=True)
class Attempt(Generic[T]):
    """What came of a piece of work: its value, or what went wrong.

    Attributes:
        value: What the work returned.
        wrong: What went wrong in one line; empty if nothing did.
        out_of_memory: Whether memory was too small.
        detail: The traceback.
    """

    value: T | None = None
    wrong: str = ""
    out_of_memory: bool = False
    detail: str = ""


class Rows:
    """Writes rows, and turns what goes wrong on the device into one.

    Args:
        given: What the section is told.
    """

    def __init__(self, given: Given) -> None:
        self.given = given
        device = torch.device(given.device)
        # some functions of torch.cuda take no device without a number
        self.device = torch.device("cuda", device.index or 0) if device.type == "cuda" else device
        self._file = given.folder / "rows.jsonl"
        self._end = time.monotonic() + given.seconds

    @property
    def left(self) -> float:
        """Seconds until the section is stopped."""
        return self._end - time.monotonic()

    def begin(self, work: str) -> None:
        """Says what comes next: it is shown while it runs, and named if the process dies of it."""
        self._write({"begin": work})

    def add(
        self,
        check: str,
        status: str,
        why: str = "",
        numbers: Mapping[str, Any] | None = None,
        *,
        detail: str = "",
        brief: bool = False,
    ) -> None:
        """Writes a row.

        Args:
            check: What was checked.
            status: One of `STATUSES`.
            why: Reason, or what was found.
            numbers: Name with unit -> number.
            detail: A traceback, for the JSON file alone.
            brief: Whether the table leaves the row out unless it failed.
        """
        assert status in STATUSES, status
        row = {"check": check, "status": status, "why": why, "numbers": dict(numbers or {})}
        self._write({**row, **({"detail": detail} if detail else {}), **({"brief": True} if brief else {})})

    def record(self, content: Mapping[str, Any]) -> None:
        """Writes something else than a row."""
        self._write(content)

    def _write(self, content: Mapping[str, Any]) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(_plain(content), allow_nan=False) + "\n")

    def attempt(self, work: Callable[[], T]) -> Attempt[T]:
        """Does a piece of work and waits for the device, so that an error that comes late is its own.

        Raises:
            DeviceLost: After it, the device is in error.
        """
        try:
            value = work()
            self.synchronize()
            return Attempt(value)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit and pytest's outcomes, too
            found = Attempt[T](
                wrong=one_line(error), out_of_memory=_is_out_of_memory(error), detail=traceback.format_exc()[-4000:]
            )
        # The frames that held tensors are gone only now, after the block.
        gc.collect()
        if self.device.type == "cuda":
            try:
                torch.cuda.synchronize(self.device)
                torch.cuda.empty_cache()
                torch.zeros(1, device=self.device).item()
            except RuntimeError as error:
                self.add("the device", "failed", found.wrong, detail=found.detail)
                raise DeviceLost(one_line(error)) from None
        return found

    def check(self, name: str, work: Callable[[], tuple[Mapping[str, Any], str]]) -> Attempt[Any]:
        """Does a piece of work that returns (numbers, what is wrong with them), and writes its row."""
        self.begin(name)
        found = self.attempt(work)
        numbers, wrong = found.value or ({}, found.wrong)
        self.add(name, "failed" if wrong else "ok", wrong, numbers, detail=found.detail)
        return found

    def synchronize(self) -> None:
        """Waits until the device has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def one_line(error: BaseException, most: int = 240) -> str:
    """Returns an error in one line: its type, and the beginning of its message."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:most].rstrip(": ")


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether the memory of the device was too small; cuBLAS and the driver say so in other ways than torch."""
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    # "out of resource: shared memory" is a kernel that does not fit a processor, which is another fault
    return isinstance(error, RuntimeError) and any(
        sign in text for sign in ("CUDA out of memory", "CUDA error: out of memory", "ALLOC_FAILED")
    )


def _plain(value: Any) -> Any:
    """Numbers that JSON does not know become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
