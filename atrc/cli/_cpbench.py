"""The commands ``atrc cpbench ...``, which make and read tables of a space."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from atrc.cli._app import Jobs, OverrideOption, Quiet, Seeds, app, console, read_config

__all__: list[str] = []

cpbench = typer.Typer(
    no_args_is_help=True, help="Tables of what every genotype of a small space reaches, with several seeds."
)
app.add_typer(cpbench, name="cpbench", rich_help_panel="Use")

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
