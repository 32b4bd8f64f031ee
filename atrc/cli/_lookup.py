"""The command ``atrc lookup``: many searches of a table, with every strategy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from atrc.cli._app import ConfigArgument, Formats, OverrideOption, Quiet, app, figure_formats, read_config
from atrc.cli._show import show_lookup
from atrc.machine.cores import cores
from searchspace.errors import InputError

__all__: list[str] = []


@app.command(rich_help_panel="Use")
def lookup(
    config: ConfigArgument,
    override: OverrideOption = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A strategy, or a label of the config's [cyan]compare[/cyan] section; repeat it for several. "
            "Default: all multi-trial strategies that can search the space.",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Number of searches with each strategy.")] = 100,
    few: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=NUMBER", help="Another number of searches with a slow strategy; repeatable."),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="Number of trials of a search.")] = 60,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder; default: runs/NAME-lookup.")] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Number of processes; default: one a core.")
    ] = None,
    formats: Formats = None,
    quiet: Quiet = False,
) -> None:
    """Search a table many times with every strategy, and show what each one finds. Nothing is trained.

    The table is that of the space [cyan]benchmark[/cyan], of the scorer [cyan]table[/cyan], or the one that ships for
    the config. After an interruption, the same command goes on where it stopped.
    """
    chosen, fewer = figure_formats(formats), dict(map(_number, few or []))
    settings = read_config(config, override)
    from atrc.experiments.lookup import plan_lookup, run_lookup

    plan = plan_lookup(settings, strategy or (), seeds=seeds, few=fewer, trials=trials)
    folder = Path("runs") / f"{settings.name}-lookup" if out is None else out
    run_lookup(plan, folder, jobs=jobs or cores(), quiet=quiet)
    show_lookup(folder, folder / "analysis", formats=chosen)


def _number(given: str) -> tuple[str, int]:
    name, _, number = given.partition("=")
    if not name or not number.isdigit() or int(number) < 1:
        raise InputError(f"--few {given!r} is not NAME=NUMBER, e.g. bananas=20")
    return name, int(number)
