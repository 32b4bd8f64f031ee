"""Shows analyses on the screen after a command has made the runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from atrc.cli._app import console

if TYPE_CHECKING:
    from atrc.config import Config

__all__ = ["show_analysis", "show_comparison"]


def show_analysis(
    runs: Sequence[Path], out: Path, *, by: str | None = None, networks: bool = True, quiet: bool = False
) -> None:
    """Makes the tables and figures, and shows the summary on the screen."""
    from analysis import analyze as make  # matplotlib and seaborn take a second that other commands need not wait
    from analysis import summary

    made = make(runs, out, by=by, networks=networks, quiet=quiet)
    for part in summary(made.runs):
        console.print(part)
    console.print(f"{len(made.tables)} tables and {len(made.figures)} figures in {out}")


def show_comparison(config: Config, folder: Path, *, unequal: bool) -> None:
    """Makes the tables and figures of a comparison of strategies, and shows its table on the screen."""
    from analysis.comparison import compare_strategies
    from analysis.screen import comparison_screen

    made = compare_strategies(config, folder, folder / "comparison", unequal=unequal)
    for part in comparison_screen(made):
        console.print(part)
    console.print(f"{len(made.tables)} tables and {len(made.figures)} figures in {folder / 'comparison'}")
