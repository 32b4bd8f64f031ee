"""The command ``atrc recovery``, a sensitive test for changes of numerics."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from atrc.cli._app import Jobs, Quiet, app, console

__all__: list[str] = []


@app.command(rich_help_panel="Use")
def recovery(
    seeds: Annotated[int, typer.Option(min=2, help="Number of seeds of every network and search.")] = 3,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder of the runs; default: runs/recovery/CODE, with a hash of the code."),
    ] = None,
    kept: Annotated[
        Path | None, typer.Option(help="Folder with the tables of an earlier time, to compare with.")
    ] = None,
    jobs: Jobs = None,
    quiet: Quiet = False,
) -> None:
    """Train networks and run searches on planted problems, and test that they still find what was planted.

    Every context is trained on data in which each other context was planted, and three problems are searched. After
    an interruption, the same command goes on where it stopped.
    """
    from analysis.recovery_report import recovery_report
    from atrc.config import load_config
    from atrc.experiments import default_jobs, execute_all
    from atrc.experiments.recovery import code_hash, matrix_runs, searched_runs

    out = Path("runs/recovery") / code_hash() if out is None else out
    numbers = list(range(seeds))
    networks, searches = matrix_runs(out, numbers), searched_runs(out, numbers)
    at_once = jobs or default_jobs(load_config("planted2"))
    execute_all([*networks, *searches], jobs=at_once, quiet=quiet)
    for part in recovery_report(networks, searches, out, kept):
        console.print(part)
    console.print(Text(f"Tables: errors.csv, found.csv, matrix.csv and ahead.csv in {out}"))
