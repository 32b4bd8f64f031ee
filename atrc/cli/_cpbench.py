"""The commands ``atrc cpbench ...``, which make and read tables of a space."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from atrc.cli._app import Formats, Jobs, Json, OverrideOption, Quiet, Seeds, app, console, figure_formats, read_config
from atrc.machine.files import json_text
from atrc.machine.imports import few_collections
from searchspace.errors import InputError

if TYPE_CHECKING:
    from analysis.cpbench import TableFacts
    from searchspace import Genotype, SearchSpace

__all__: list[str] = []

cpbench = typer.Typer(
    no_args_is_help=True, help="Tables of what every genotype of a small space reaches, with several seeds."
)
app.add_typer(cpbench, name="cpbench", rich_help_panel="Use")

TableName = Annotated[
    str,
    typer.Argument(metavar="TABLE", help="Name of a table that ships with the package, or path of a .csv.gz file."),
]
Folder = Annotated[Path, typer.Option("--out", "-o", help="Folder of the tables.")]


@cpbench.command()
def make(
    configs: Annotated[
        list[str], typer.Argument(metavar="CONFIG...", help="Presets or YAML files; each gets its own table.")
    ],
    override: OverrideOption = None,
    seeds: Seeds = None,
    sample: Annotated[
        int | None, typer.Option(min=2, help="Number of genotypes, drawn at random; default: all of the space.")
    ] = None,
    out: Folder = Path("runs/cpbench"),
    jobs: Jobs = None,
    quiet: Quiet = False,
) -> None:
    """Train every genotype of a config's space from scratch with every seed, and write the table.

    After an interruption, the same command goes on with the networks that are missing.
    """
    from atrc.experiments import default_jobs
    from atrc.experiments.cpbench import make_table
    from atrc.setup import Setup

    for settings in [read_config(config, override, seeds) for config in configs]:
        chosen = None
        if sample is not None:
            listed = list(Setup.of(settings).space.enumerate())
            chosen = random.Random(0).sample(listed, min(sample, len(listed)))
        path = make_table(settings, out, chosen, jobs=jobs or default_jobs(settings), quiet=quiet)
        console.print(Text(f"Table: {path}"))


@cpbench.command()
@few_collections()
def info(
    tables: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TABLE]...", help="Names or files of tables; default: all that ship."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for figures and tables of the spaces; default: none.")
    ] = None,
    formats: Formats = None,
    json_: Json = False,
) -> None:
    """Show what tables hold, how much of it is noise, and how many genotypes can be told apart."""
    chosen = figure_formats(formats)
    from analysis.cpbench import table_facts, table_results
    from analysis.table_report import write_table_report
    from atrc.cpbench import find_table, shipped_tables

    opened = [find_table(name) for name in tables or shipped_tables()]
    facts = [
        table_facts(table, table_results(table)) if out is None else write_table_report(table, out, chosen)
        for table in opened
    ]
    if json_:
        console.print_json(json_text({"settings": [one.as_dict() for one in facts]}))
        return
    console.print(_facts_table(facts))
    for one in facts:
        if one.planted:
            worse = "not significantly worse than the best" if one.planted_p >= 0.05 else "worse than the best"
            console.print(
                Text(
                    f"{one.name}: the best of the {one.planted} genotypes with all planted contexts has rank "
                    f"{one.planted_rank}" + ("" if one.planted_rank == 1 else f", {worse} (p = {one.planted_p:.2g})")
                )
            )
    if out is not None:
        console.print(Text(f"Tables and figures: {out}"))


def _facts_table(facts: Sequence[TableFacts]) -> Table:
    table = Table(box=None, pad_edge=False)
    for head in (
        *("table", "genotypes", "seeds", "steps", "missing", "variance between\ngenotypes", "noise\nceiling"),
        "worse than\nthe best",
    ):
        table.add_column(head, justify="left" if head == "table" else "right")
    for one in facts:
        table.add_row(
            one.name,
            str(one.genotypes),
            str(one.seeds),
            ", ".join(map(str, one.budgets)),
            str(one.missing),
            f"{100 * one.genotype_share:.1f} %",
            f"{one.noise_ceiling:.3f}",
            f"{one.distinguishable}",
        )
    return table


@cpbench.command()
def query(
    table: TableName,
    wanted: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[GENOTYPE | CHOICE=OPTION...]",
            help="A genotype file, a name such as all-local, or options that genotypes must have; default: any.",
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Budget, in steps; default: the largest.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Number of genotypes, the best first.")] = 10,
    json_: Json = False,
) -> None:
    """Look up what genotypes reach: means over the seeds, the best first."""
    from analysis.cpbench import query_table
    from atrc.cpbench import find_table
    from atrc.setup import Setup

    opened = find_table(table)
    space = Setup.of(opened.card.config).space
    found = query_table(opened, _filter(wanted or [], space), steps)
    rows = found.head(top).to_dict("records")
    if json_:
        console.print_json(json_text(rows))
        return
    grid = Table(box=None, pad_edge=False)
    for column in found:
        grid.add_column(str(column), justify="left" if column in space else "right")
    for row in rows:
        grid.add_row(*(_cell(value) for value in row.values()))
    console.print(grid)
    if len(found) > top:
        console.print(Text(f"and {len(found) - top} more; --top {len(found)} shows all"))


def _cell(value: Any) -> Text:
    return Text(
        f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
    )


def _filter(wanted: Sequence[str], space: SearchSpace) -> dict[str, str]:
    """Returns the options that genotypes must have: choice -> option."""
    from strategies import resolve_genotype

    if len(wanted) == 1 and "=" not in wanted[0]:
        genotype: Genotype = resolve_genotype(wanted[0], space)
        return dict(genotype)
    options: dict[str, str] = {}
    for one in wanted:
        choice, sign, option = one.rpartition("=")
        if not sign:
            raise InputError(f"{one!r} is no CHOICE=OPTION; a genotype's name or file stands alone")
        if option not in space[choice]:
            raise InputError(f"choice {choice!r} has no option {option!r}; its options: {', '.join(space[choice])}")
        options[choice] = option
    return options


@cpbench.command()
def reproduce(
    table: TableName,
    entries: Annotated[int, typer.Option(min=1, help="Number of networks, drawn at random.")] = 5,
    draw: Annotated[int, typer.Option(min=0, help="Seed of the draw.")] = 0,
    jobs: Jobs = None,
    quiet: Quiet = False,
) -> None:
    """Train some networks of a table again, and compare them with it: exit status 1 if one is not equal.

    On the machine that made the table they are equal to the last bit. Others may round differently.
    """
    from atrc.cpbench import find_table
    from atrc.experiments import default_jobs
    from atrc.experiments.cpbench import reproduced

    opened = find_table(table)
    again = reproduced(opened, entries, draw, jobs=jobs or default_jobs(opened.card.config), quiet=quiet)
    grid = Table(box=None, pad_edge=False)
    for head in ("genotype", "seed", "largest difference", "in"):
        grid.add_column(head)
    for one in again:
        options = " ".join(one.genotype.values())
        grid.add_row(options, str(one.seed), "none" if one.equal else f"{one.difference:.3g}", one.column)
    console.print(grid)
    equal, made = sum(one.equal for one in again), opened.card.made
    console.print(Text(f"{equal} of {len(again)} networks are equal to the last bit."))
    if equal < len(again):
        console.print(
            Text(f"The table was made on {made.get('processor')} with torch {made.get('versions', {}).get('torch')}.")
        )
        raise typer.Exit(1)
