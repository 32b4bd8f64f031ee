"""The command ``atrc lookup``, which compares multi-trial strategies by a table of the space."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from atrc.cli._app import (
    ConfigArgument,
    Formats,
    Jobs,
    OverrideOption,
    Quiet,
    app,
    console,
    figure_formats,
    read_config,
)
from searchspace.errors import InputError, UnknownNameError

__all__: list[str] = []


@app.command(rich_help_panel="Train")
def lookup(
    config: ConfigArgument,
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            "--strategy",
            help="Name or label of a strategy; repeat it for several. Default: those of the config's section "
            "[cyan]compare[/cyan], else all multi-trial ones.",
        ),
    ] = None,
    override: OverrideOption = None,
    seeds: Annotated[int, typer.Option(min=1, help="Number of searches of every strategy.")] = 100,
    few: Annotated[
        list[str] | None,
        typer.Option(metavar="STRATEGY=N", help="Another number of searches for a (slow) strategy."),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="Budget of a search, as a number of full trainings.")] = 60,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the results; default: runs/NAME-lookup.")
    ] = None,
    jobs: Jobs = None,
    formats: Formats = None,
    quiet: Quiet = False,
) -> None:
    """Compare multi-trial strategies on a space whose genotypes are all in a table, such as [cyan]planted2[/cyan].

    No network is trained. Every strategy may use as many images as the given number of full trainings. After an
    interruption, the same command goes on where it stopped.
    """
    chosen = figure_formats(formats)
    settings = read_config(config, override)
    from atrc.experiments import default_jobs
    from atrc.experiments.lookup import Looked, default_strategies, look_up

    named = default_strategies(settings, strategy or [])
    numbers = dict.fromkeys(named, seeds) | _few(few or [], named)
    folder = out if out is not None else Path("runs") / f"{settings.name}-lookup"
    look_up(Looked(settings, named, numbers, trials), folder, jobs=jobs or default_jobs(settings), quiet=quiet)
    from atrc.cli._show import show_lookup

    show_lookup(folder, folder / "analysis", formats=chosen)
    console.print(Text(f"Searches: {folder / 'searches.csv.gz'}"))


def _few(given: list[str], known: object) -> dict[str, int]:
    """Returns label -> number of searches."""
    assert isinstance(known, dict)
    found = {}
    for one in given:
        label, _, number = one.partition("=")
        if label not in known:
            raise UnknownNameError("strategy", label, known, "--few")
        if not number.isdigit() or int(number) < 1:
            raise InputError(f"--few {one}: expected STRATEGY=N with N >= 1")
        found[label] = int(number)
    return found
