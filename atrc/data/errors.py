"""Error messages about files, shared by all datasets on disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from atrc.tasks import Task
from searchspace.errors import InputError

__all__ = ["check_label", "expect_size", "named", "no_root", "times"]


def no_root(root: Path, name: str, layout: Iterable[str], download: str | None) -> str:
    """Returns the message for a dataset whose folder is missing."""
    hint = f"; to get it: {download}" if download else ""
    return f"{root}: no such folder; the root of {name} should hold {', '.join(layout)}{hint}"


@contextmanager
def named(file: Path, task: str) -> Iterator[None]:
    """Puts the file and the task in front of an error that does not name the file yet."""
    try:
        yield
    except InputError as error:
        message = str(error)
        raise InputError(message if str(file) in message else f"{file} ({task}): {message}") from None


def expect_size(label: np.ndarray, image: Path, size: tuple[int, int]) -> None:
    """Refuses a label whose size is not that of its image."""
    if label.shape[:2] != size:
        raise InputError(f"label is {times(label.shape[:2])}, but its image {image} is {times(size)}")


def check_label(task: Task, label: np.ndarray) -> None:
    """Refuses a label that the task does not take."""
    if label.dtype == np.uint8 and label.ndim == 2:
        present = np.flatnonzero(np.bincount(label.ravel(), minlength=256))
        if task.check_label(present[None].astype(np.uint8)) is None:
            return
    complaint = task.check_label(label)
    if complaint is not None:
        raise InputError(complaint)


def times(shape: tuple[int, ...]) -> str:
    """Returns a size as text, such as ``425 x 560``."""
    return " x ".join(str(side) for side in shape)
