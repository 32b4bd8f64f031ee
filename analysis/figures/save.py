"""Writes a figure as PDF, PNG or SVG, whole or not at all, and the same bytes for the same figure."""

from __future__ import annotations

from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from analysis.figures.style import paper_style
from atrc.machine.files import writing

__all__ = ["save_figure", "write_figure"]

DPI = 220
FONT_TYPE = 42
"""TrueType, as journals ask for."""
# A date, or the version of the library, would make equal figures differ.
_METADATA = {
    "pdf": {"CreationDate": None, "Producer": None, "Creator": "atrc"},
    "png": {"Software": "atrc"},
    "svg": {"Date": None},
}


def save_figure(figure: Figure, folder: Path, name: str) -> tuple[Path, Path, Path]:
    """Writes ``name.pdf``, ``name.png`` (220 dots per inch) and ``name.svg`` into the folder; returns their paths."""
    paths = folder / f"{name}.pdf", folder / f"{name}.png", folder / f"{name}.svg"
    for path in (paths[1], paths[0], paths[2]):
        write_figure(figure, path)
        figure.set_layout_engine("none")  # all files have the layout of the first
    return paths


def write_figure(figure: Figure, path: Path) -> None:
    """Writes one file; its suffix is ``.pdf``, ``.png`` or ``.svg``."""
    form = path.suffix.lower().removeprefix(".")
    with paper_style(), rc_context({"pdf.fonttype": FONT_TYPE}), writing(path) as file:
        figure.savefig(file, format=form, dpi=DPI, metadata=_METADATA[form])
