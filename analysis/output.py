"""Output of an analysis: the folder of tables and figures, and what the report shows of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from analysis.correlation import correlate
from analysis.figures import FORMATS, Press, draw_correlation, save_figure
from analysis.load import Runs
from analysis.lookup import LookupAnalysis
from analysis.tables import write_table

__all__ = ["Analysis", "Caption", "Drawing", "Part", "Tiles"]


class Caption(NamedTuple):
    """Title and explanation of a figure.

    Attributes:
        title: Name of what is shown.
        text: Instructions for reading it.
    """

    title: str
    text: str


@dataclass(frozen=True)
class Tiles:
    """Genotypes as tables of coloured tiles, for the report.

    Attributes:
        panels: Caption of a table -> its rows, each a heading and its tiles: an option, and what a pointer shows.
        looks: Option -> ``colour`` and ``ink`` (of its text), ``short`` (the letters on a tile), ``title``.
        said: Meaning of rows and columns, in one sentence.
        left_out: Number of genotypes that are not shown.
    """

    panels: Mapping[str, Sequence[tuple[str, Sequence[tuple[str, str]]]]]
    looks: Mapping[str, Mapping[str, str]]
    said: str
    left_out: int = 0


@dataclass(frozen=True)
class Drawing:
    """A figure that was written.

    Attributes:
        kind: Kind of figure, e.g. ``"importance"``.
        experiment: The experiment whose runs it shows; None: all experiments.
        table: CSV file of its numbers.
        pdf: File for papers; None where this format was not asked for.
        png: File for slides, likewise.
        svg: File for pages, likewise.
    """

    kind: str
    experiment: str | None
    table: Path
    pdf: Path | None = None
    png: Path | None = None
    svg: Path | None = None


@dataclass(frozen=True)
class Analysis:
    """Tables, figures and notes of a set of runs; made by `analysis.analyze`.

    Attributes:
        runs: The runs that were read.
        out: Folder of the files.
        tables: Name -> CSV file.
        figures: Name -> figure, in a reader's order.
        notes: Missing things and their causes, one line each.
        paired: Whether the baseline of Delta_m is the single-task run of the same seed.
        formats: Formats of figures; see `analysis.figures.save_figure`.
        press: Processes that write figures; None: they are written at once.
        lookups: Searches by look-up that were read, with tables and figures of their own.
    """

    runs: Runs
    out: Path
    tables: dict[str, Path] = field(default_factory=dict)
    figures: dict[str, Drawing] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    paired: bool = False
    formats: tuple[str, ...] = FORMATS
    press: Press | None = field(default=None, repr=False, compare=False)
    lookups: list[LookupAnalysis] = field(default_factory=list)

    def add_table(self, kind: str, table: pd.DataFrame, experiment: str | None = None) -> None:
        """Writes ``KIND.csv``, or ``KIND-EXPERIMENT.csv`` of several experiments; without rows, nothing."""
        if not table.empty:
            name = self._name(kind, experiment)
            self.tables[name] = write_table(table, self.out, name)

    def add_figure(
        self, kind: str, table: pd.DataFrame, draw: Callable[[], Figure], experiment: str | None = None
    ) -> None:
        """Writes a figure and the table of its numbers; nothing where the table has no rows."""
        self.add_table(kind, table, experiment)
        if not table.empty:
            name = self._name(kind, experiment)
            save = save_figure if self.press is None else self.press.save
            files = dict(zip(self.formats, save(draw(), self.out, name, self.formats), strict=True))
            self.figures[name] = Drawing(kind, experiment, self.tables[name], **files)

    def _name(self, kind: str, experiment: str | None) -> str:
        if experiment is None or len(self.runs.experiments) == 1:
            return kind
        slug = re.sub(r"[^\w.-]+", "-", experiment).strip("-")
        return f"{kind}-{slug}"


@dataclass(frozen=True)
class Part:
    """The part of an analysis that is about one experiment.

    Attributes:
        analysis: The whole.
        experiment: Name of the experiment.
        networks: Whether trained networks may be run.
        quiet: Whether progress bars are left out.
    """

    analysis: Analysis
    experiment: str
    networks: bool = True
    quiet: bool = False

    @property
    def runs(self) -> Runs:
        """The runs of all experiments."""
        return self.analysis.runs

    @property
    def paired(self) -> bool:
        """Whether the baseline of Delta_m is the single-task run of the same seed."""
        return self.analysis.paired

    def note(self, text: str) -> None:
        """Adds a line on what is missing."""
        self.analysis.notes.append(f"{self.experiment}: {text}")

    def table(self, kind: str, table: pd.DataFrame) -> None:
        """Writes a table; see `Analysis.add_table`."""
        self.analysis.add_table(kind, table, self.experiment)

    def figure(self, kind: str, table: pd.DataFrame, draw: Callable[[], Figure]) -> None:
        """Writes a figure and the table of its numbers; see `Analysis.add_figure`."""
        self.analysis.add_figure(kind, table, draw, self.experiment)

    def correlation(self, kind: str, table: pd.DataFrame, columns: tuple[str, str], labels: tuple[str, str]) -> None:
        """Writes a scatter plot of two columns of a table, and their correlation as ``KIND_correlation``.

        Args:
            kind: Name of the figure.
            table: A row per dot.
            columns: The two columns: across, up.
            labels: Labels of the two axes.
        """
        x, y = (table[column] for column in columns)
        found = correlate(x.to_numpy(float), y.to_numpy(float))
        self.table(f"{kind}_correlation", found)
        self.figure(kind, table, lambda: draw_correlation(x, y, found, labels))
