"""The application that the command modules add to, and the options that several commands share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from atrc.config import Config


__all__ = [
    "ConfigArgument",
    "DataFolder",
    "ExperimentFolder",
    "Formats",
    "Jobs",
    "Json",
    "OverrideOption",
    "Quiet",
    "RunsArgument",
    "Seeds",
    "SkipBad",
    "app",
    "console",
    "dataset_overrides",
    "experiment_folder",
    "figure_formats",
    "read_config",
    "show_skipped",
]

app = typer.Typer(
    name="atrc",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Search which context every task of a multi-task network should take from every other task, "
        "train the network that was found, and compare it with baselines.\n\n"
        "[bold]Start here:[/bold]  atrc experiment demo   (minutes on two CPU cores, no download)"
    ),
)

console = Console(highlight=False)


def _show_version(wanted: bool) -> None:
    from atrc._version import __version__

    if wanted:
        typer.echo(f"atrc {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def _presets(begun: str) -> list[str]:
    """Returns the presets that begin with a word, for completion in the shell. The shell itself completes files."""
    from atrc.config import preset_names

    return [name for name in preset_names() if name.startswith(begun)]


ConfigArgument = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG",
        help="A preset ([cyan]atrc presets[/cyan] lists them) or a YAML file.",
        autocompletion=_presets,
    ),
]
OverrideOption = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="KEY=VALUE", help="Override a key, e.g. [cyan]-s train.steps=100[/cyan]."),
]
Seeds = Annotated[str | None, typer.Option(metavar="0,1,2", help="Seeds, one run each; default: the config's.")]
DataFolder = Annotated[
    Path | None,
    typer.Option("--data", metavar="PACK", help="Folder of the dataset's files, e.g. [cyan]~/data/NYUD_MT[/cyan]."),
]
SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Leave out samples whose files cannot be used, and list them in results.")
]
ExperimentFolder = Annotated[
    Path | None, typer.Option("--out", "-o", help="Folder of the experiment; default: runs/NAME of the config.")
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        min=1,
        help="Number of processes, for runs and then for trials; default: by cores and memory, one on a GPU.",
    ),
]
Formats = Annotated[
    str | None,
    typer.Option(metavar="png,svg,pdf", help="Formats of figures; default: all three. [cyan]png[/cyan] is quickest."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
RunsArgument = Annotated[list[Path], typer.Argument(metavar="RUNS...", help="Run directories, or folders of them.")]


def read_config(
    source: str,
    overrides: list[str] | None,
    seeds: str | None = None,
    data: Path | None = None,
    skip_bad: bool = False,
) -> Config:
    """Returns the config of a command, with its overrides."""
    from atrc.config import load_config

    extra = [f"seeds=[{seeds}]"] if seeds is not None else []
    return load_config(source, [*(overrides or []), *extra, *dataset_overrides(data, skip_bad)])


def dataset_overrides(data: Path | None, skip_bad: bool) -> list[str]:
    """Returns the config overrides of ``--data`` and ``--skip-bad``."""
    overrides = []
    if data is not None:  # an absolute path, since a run may be continued from another folder
        overrides.append(f"dataset.root={json.dumps(str(data.expanduser().absolute()))}")
    if skip_bad:
        overrides.append("dataset.skip_bad=true")
    return overrides


def experiment_folder(config: Config, out: Path | None) -> Path:
    """Returns the folder of an experiment's runs."""
    return out if out is not None else Path("runs") / config.name


def figure_formats(given: str | None) -> tuple[str, ...]:
    """Returns the formats of ``--formats``.

    Raises:
        InputError: One is unknown, or there is none.
    """
    from analysis.figures.formats import FORMATS, check_formats

    if given is None:
        return FORMATS
    return check_formats([name.strip().lower() for name in given.split(",") if name.strip()], "--formats")


def show_skipped(*skipped: Mapping[str, Mapping[str, str]]) -> None:
    """Prints a line for every sample that a run left out. ``skipped`` maps split -> id -> reason."""
    found = [(split, *sample) for of in skipped for split, samples in of.items() for sample in samples.items()]
    for split, entry, complaint in dict.fromkeys(found):
        console.print(f"left out: {split} {entry}: {complaint}", style="yellow", markup=False)
