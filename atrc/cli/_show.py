"""Shows analyses on the screen after a command has made the runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from atrc.cli._app import console
from atrc.machine.imports import few_collections, import_all

if TYPE_CHECKING:
    from atrc.config import Config

__all__ = ["LIBRARIES", "show_analysis", "show_comparison", "show_lookup"]

LIBRARIES = ("torch", "pandas", "scipy.stats", "matplotlib.figure")
"""Libraries that an analysis imports, which takes a second or two."""


@few_collections()
def show_analysis(
    runs: Sequence[Path],
    out: Path,
    *,
    formats: Sequence[str],
    by: str | None = None,
    networks: bool = True,
    jobs: int | None = None,
    quiet: bool = False,
) -> None:
    """Makes the tables and figures, and shows the summary on the screen.

    Args:
        runs: Run directories, or folders of them.
        out: Folder of the files.
        formats: Formats of figures.
        by: See `analysis.analyze`.
        networks: Likewise.
        jobs: Number of processes that write figures; None: by cores.
        quiet: Whether progress bars are left out.
    """
    from analysis.figures.press import Press, default_jobs

    with Press(jobs or default_jobs()) as press:
        import_all(*LIBRARIES)
        from analysis import analyze as make
        from analysis import summary
        from analysis.lookup import lookup_screen

        made = make(runs, out, by=by, networks=networks, formats=formats, press=press, quiet=quiet)
        parts = [*summary(made.runs), *(part for one in made.lookups for part in lookup_screen(one))]
    for part in parts:
        console.print(part)
    tables = len(made.tables) + sum(len(one.tables) for one in made.lookups)
    figures = len(made.figures) + sum(len(one.figures) for one in made.lookups)
    console.print(f"{tables} tables and {figures} figures in {out}")


@few_collections()
def show_comparison(config: Config, folder: Path, *, formats: Sequence[str], unequal: bool) -> None:
    """Makes the tables and figures of a comparison of strategies, and shows its table on the screen."""
    from analysis.figures.press import Press, default_jobs

    out = folder / "comparison"
    with Press(default_jobs()) as press:
        import_all(*LIBRARIES)
        from analysis.comparison import compare_strategies
        from analysis.screen import comparison_screen

        made = compare_strategies(config, folder, out, unequal=unequal, formats=formats, press=press)
    for part in comparison_screen(made):
        console.print(part)
    console.print(f"{len(made.tables)} tables and {len(made.figures)} figures in {out}")


@few_collections()
def show_lookup(folder: Path, out: Path, *, formats: Sequence[str]) -> None:
    """Makes the tables and figures of many searches of a table, and shows its table on the screen."""
    from analysis.figures.press import Press, default_jobs

    with Press(default_jobs()) as press:
        import_all(*LIBRARIES)
        from analysis.lookup import analyze_lookup, lookup_screen

        made = analyze_lookup(folder, out, formats=formats, press=press)
    for part in lookup_screen(made):
        console.print(part)
    console.print(f"{len(made.tables)} tables and {len(made.figures)} figures in {out}")
