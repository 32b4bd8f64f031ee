"""Writes figures in processes beside this one."""

from __future__ import annotations

import base64
import pickle
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import NamedTuple

from matplotlib.backend_bases import get_registered_canvas_class
from matplotlib.figure import Figure

from analysis.figures import save
from analysis.figures.formats import FORMATS, check_formats
from analysis.figures.save import save_figure
from atrc.engines import JobFailed, Processes
from atrc.machine.cores import cores
from atrc.machine.imports import few_collections
from searchspace import InputError

__all__ = ["MOST_JOBS", "Press", "default_jobs"]

MOST_JOBS = 4
"""An analysis has some twenty figures for each experiment, and a process takes as long as a few of them to start."""


def default_jobs() -> int:
    """Number of processes for figures: that of the cores which this process may use, at most `MOST_JOBS`."""
    return min(cores(), MOST_JOBS)


class _Sent(NamedTuple):
    """A figure that another process was asked to write."""

    outcome: Future[bool]
    figure: Figure
    folder: Path
    name: str
    formats: Sequence[str]

    def write(self) -> None:
        """Writes it here."""
        save_figure(self.figure, self.folder, self.name, self.formats)


class Press:
    """Processes that write figures, while this one computes the next; at the end it writes what is left.

    It is a context manager. When it is left, all files are there; after an error, those that were not begun are not
    made. Files have the bytes that `save_figure` gives them. The processes start at once and load what draws, which
    takes them half a second: so a press is best made before the runs are read.

    Example::

        with Press(4) as press:
            analyze(["runs/demo"], "figures", press=press)

    Args:
        jobs: Number of processes, this one included; with 1 it writes every figure at once.

    Raises:
        InputError: There is no process.
    """

    def __init__(self, jobs: int) -> None:
        if jobs < 1:
            raise InputError(f"the number of processes must be >= 1, got {jobs}")
        self._engine = Processes(jobs - 1) if jobs > 1 else None
        self._workers = jobs - 1
        self._sent: list[_Sent] = []

    def __enter__(self) -> Press:
        if self._engine is not None:
            self._engine.__enter__()
            for _ in range(self._workers):  # while this process reads runs, they load what draws
                self._engine.submit(f"{__name__}:warm_up")
        return self

    def __exit__(self, *error: object) -> None:
        if self._engine is None:
            return
        engine, self._engine = self._engine, None  # a figure that comes later is written at once
        try:
            if error[0] is None:
                self.finish()
        finally:
            engine.stop()
            engine.__exit__(*error)

    def save(self, figure: Figure, folder: Path, name: str, formats: Sequence[str] = FORMATS) -> tuple[Path, ...]:
        """Has a figure written; see `save_figure`. It must not be changed afterwards.

        Returns:
            The paths of its files, which are there when the context is left.
        """
        formats = check_formats(formats)
        sent = None if self._engine is None else self._send(figure, folder, name, formats)
        if sent is None:
            return save_figure(figure, folder, name, formats)
        self._sent.append(sent)
        return tuple(folder / f"{name}.{form}" for form in formats)

    def _send(self, figure: Figure, folder: Path, name: str, formats: Sequence[str]) -> _Sent | None:
        """Passes a figure on; None if it holds something that cannot be passed."""
        assert self._engine is not None
        try:
            packed = base64.b64encode(pickle.dumps(figure)).decode("ascii")
        except Exception:  # whatever the parts of a user's own drawing raise
            return None
        outcome = self._engine.submit(
            f"{__name__}:write_packed",
            packed=packed,
            folder=str(folder.absolute()),
            name=name,
            formats=list(formats),
            dots=save.DPI,
            fonts=save.FONT_TYPE,
        )
        return _Sent(outcome, figure, folder, name, formats)

    def finish(self) -> None:
        """Writes the figures that no process has begun, and waits for the others."""
        begun = []
        waiting, self._sent = self._sent, []
        for sent in reversed(waiting):
            if sent.outcome.cancel():
                sent.write()
            else:
                begun.append(sent)
        for sent in begun:
            try:
                written = sent.outcome.result()
            except JobFailed:
                written = False
            if not written:  # what is wrong is said by this process
                sent.write()


def warm_up() -> None:
    """Loads what writes figures, in a process of a `Press`."""
    for form in FORMATS:
        get_registered_canvas_class(form)


@few_collections()
def write_packed(packed: str, folder: str, name: str, formats: Sequence[str], dots: int, fonts: int) -> bool:
    """Writes a figure in a process of a `Press`; returns whether that went well.

    Args:
        packed: The figure, pickled, in base 64.
        folder, name, formats: See `save_figure`.
        dots: Dots per inch.
        fonts: Type of fonts in PDFs.
    """
    save.DPI, save.FONT_TYPE = dots, fonts
    try:
        save_figure(pickle.loads(base64.b64decode(packed)), Path(folder), name, formats)
    except Exception:  # the other process tries again, and says what is wrong
        return False
    return True
