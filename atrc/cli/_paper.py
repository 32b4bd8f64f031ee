"""The command ``atrc table``, which makes the paper's tables from runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atrc.cli._app import DataFolder, Jobs, OverrideOption, Quiet, SkipBad, app, dataset_overrides
from atrc.machine.files import write_text
from searchspace.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from atrc.experiments import Planned
    from atrc.runs import RunDirectory

__all__: list[str] = []


@app.command(rich_help_panel="Use")
def table(
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="Number of the paper's table, 1 to 5.")],
    on: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            help=(
                "Data of the runs: [cyan]rooms[/cyan] or [cyan]ccp[/cyan]; default: the paper's own data and "
                "backbone."
            ),
        ),
    ] = None,
    override: OverrideOption = None,
    data: DataFolder = None,
    skip_bad: SkipBad = False,
    runs: Annotated[Path, typer.Option(help="Folder of the experiments.")] = Path("runs"),
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="[cyan]markdown[/cyan], [cyan]csv[/cyan] or [cyan]latex[/cyan]; default: by FILE's suffix.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Write the table to this file; default: print it."),
    ] = None,
    fill: Annotated[
        bool, typer.Option("--fill", help="First train the missing runs; a repeated command goes on.")
    ] = False,
    jobs: Jobs = None,
    quiet: Quiet = False,
) -> None:
    """Show a table of the paper: results of your runs, published numbers, and the commands for missing runs."""
    from analysis.paper.formats import FORMATS, format_of, missing_notes
    from analysis.paper.missing import planned
    from analysis.paper.tables import paper_table
    from atrc.runs import RunDirectory

    name = format_ or format_of(out.suffix if out is not None else "")
    if name not in FORMATS:
        raise UnknownNameError("format", name, FORMATS)
    overrides = [*(override or []), *dataset_overrides(data, skip_bad)]
    made = paper_table(number, on, runs, overrides)
    while fill and made.gaps:  # repeats, since some configs name the results of other runs
        ready = [gap for gap in made.gaps if gap.origin.ready]
        if not ready:
            raise InputError(f"{made.gaps[0].origin.needs} is missing, and none of the missing runs would write it")
        begun = [RunDirectory.open(path) for gap in ready for path in gap.unfinished]
        _fill(begun, planned(ready), jobs, quiet)
        made = paper_table(number, on, runs, overrides)
    text, notes = FORMATS[name](made), missing_notes(made)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_text(out, text)
        typer.echo("; ".join([f"table {made.published.number} in {out}", *notes[:1]]))
    if name == "csv":  # the other formats contain their notes
        typer.echo("\n".join(notes), err=True, nl=bool(notes))


def _fill(begun: Sequence[RunDirectory], wanted: Sequence[Planned], jobs: int | None, quiet: bool) -> None:
    """Finishes runs that began, makes the wanted runs, and last trains the genotypes of the searches among them.

    Raises:
        InputError: A config cannot run (found before any training), another run is in the way, or a run failed.
        Interrupted: A signal stopped the command; the same command goes on.
    """
    from atrc.experiments import Checks, create_missing, create_retrain, default_jobs, execute_all

    checks = Checks()
    for config in {run.folder: run.config for run in wanted}.values():
        checks.config(config)
    for config in {run.folder: run.config for run in wanted if run.spec.kind == "search"}.values():
        checks.strategy(config)
    runs = [*begun, *create_missing(wanted, checks)]
    at_once = jobs or default_jobs(runs[0].config)
    execute_all(runs, jobs=at_once, quiet=quiet, checks=checks)
    found = create_retrain([run for run in runs if run.spec.kind == "search"])
    execute_all(found, jobs=at_once, quiet=quiet, checks=checks)
