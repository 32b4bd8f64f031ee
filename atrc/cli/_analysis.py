"""The command that reads runs: analyze."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from atrc.cli._app import RunsArgument, app, console
from atrc.config import Config

__all__ = ["show_analysis", "show_comparison"]


@app.command(rich_help_panel="Use")
def analyze(
    runs: RunsArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the tables and figures.")] = Path("analysis"),
) -> None:
    """Tables and figures from runs: metrics and Delta_m, genotypes, agreement, sampled against retrained."""
    show_analysis(runs, out)


def show_analysis(runs: Sequence[Path], out: Path) -> None:
    """Makes the tables and figures, and shows the summary on the screen."""
    from analysis import analyze as make  # matplotlib and seaborn take a second that other commands need not wait
    from analysis import summary

    made = make(runs, out)
    for part in summary(made.runs):
        console.print(part)
    console.print(f"{len(made.tables)} tables and {len(made.figures)} figures in {out}")


def show_comparison(config: Config, folder: Path, *, unequal: bool) -> None:
    """Makes the tables and figures of a comparison of strategies, and shows its table on the screen."""
    from analysis.strategies import compare_strategies, comparison_screen

    made = compare_strategies(config, folder, folder / "comparison", unequal=unequal)
    for part in comparison_screen(made):
        console.print(part)
    console.print(f"{len(made.tables)} tables and {len(made.figures)} figures in {folder / 'comparison'}")
