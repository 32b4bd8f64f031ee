"""Writes a figure as PDF, PNG or SVG, whole or not at all, and the same bytes for the same figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from analysis.figures.formats import FORMATS, check_formats
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


def save_figure(figure: Figure, folder: Path, name: str, formats: Sequence[str] = FORMATS) -> tuple[Path, ...]:
    """Writes ``name.pdf``, ``name.png`` (220 dots per inch) and ``name.svg`` into the folder; returns their paths.

    Args:
        figure: The figure. Its layout is computed, and stays.
        folder: Folder of the files; made if missing.
        name: Name of the files, without suffix.
        formats: The formats that are written; the paths are in the order of `FORMATS`. A file has the same bytes
            whatever other formats are written.

    Raises:
        InputError: A format is unknown.
    """
    paths = [folder / f"{name}.{form}" for form in check_formats(formats)]
    _lay_out(figure)
    for path in paths:
        write_figure(figure, path)
    return tuple(paths)


def _lay_out(figure: Figure) -> None:
    """Computes a figure's layout once, for pixels. Each file would compute it again, and draw for this alone."""
    engine = figure.get_layout_engine()
    if engine is None:
        return
    dots = figure.dpi
    figure.set_dpi(DPI)
    with paper_style():
        engine.execute(figure)
    figure.set_dpi(dots)
    with rc_context({"figure.autolayout": False, "figure.constrained_layout.use": False}):
        figure.set_layout_engine(None)


def write_figure(figure: Figure, path: Path) -> None:
    """Writes one file; its suffix is ``.pdf``, ``.png`` or ``.svg``."""
    form = path.suffix.lower().removeprefix(".")
    with paper_style(), rc_context({"pdf.fonttype": FONT_TYPE}), writing(path) as file:
        figure.savefig(file, format=form, dpi=DPI, metadata=_METADATA[form])
