"""The command ``atrc consensus``, which makes one genotype from several searches."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from atrc.cli._app import Json, RunsArgument, app, console
from atrc.machine.files import json_text, write_errors_as_input_errors, write_json
from searchspace.errors import InputError

if TYPE_CHECKING:
    from atrc.experiments.consensus import SearchConsensus
    from atrc.runs import RunDirectory

__all__: list[str] = []


@app.command(rich_help_panel="Train")
def consensus(
    runs: RunsArgument,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="GENOTYPE.json", help="File to write the genotype to; its name names the runs."
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Make one genotype from several searches: in every block, the option that most of them found.

    Ties are broken by the mean log probability of the tied options, where searches have probabilities. Unfinished
    searches are left out.
    """
    from atrc.experiments.consensus import consensus_of_searches
    from atrc.runs import find_searches

    if out is not None and out.suffix != ".json":
        raise InputError(f"--out {out} must end in .json, since atrc train -m takes such a name for a genotype file")
    agreed = consensus_of_searches(find_searches(runs))
    unlike = _differences(agreed.searches)
    for remark in [*agreed.remarks(), *unlike]:
        typer.echo(f"consensus: {remark}", err=True)
    if out is not None:
        with write_errors_as_input_errors(out):
            write_json(out, agreed.genotype.to_json())
    if json_:
        console.print_json(json_text(_plain(agreed, unlike)))
        return
    console.print(_table(agreed))
    for line in _next(agreed, runs, out):
        console.print(Text(line), soft_wrap=True)


def _differences(searches: Sequence[RunDirectory]) -> list[str]:
    """Returns a remark for every config key, and for data, in which searches differ. A uniform folder counts once."""
    from analysis.recipes import differing, differing_keys, recipe  # deferred: other commands start without it

    recipes = {run.path: recipe(run) for run in searches}
    folders: dict[Path, list[Path]] = {}
    for path in recipes:
        folders.setdefault(path.parent, []).append(path)
    alike = {folder for folder, paths in folders.items() if not differing_keys(recipes[path] for path in paths)}
    named = [(str(path.parent if path.parent in alike else path), recipes[path]) for path in recipes]
    return [f"the searches differ: {phrase}" for phrase in differing(named)]


def _table(agreed: SearchConsensus) -> Table:
    grid = Table(box=None, pad_edge=False)
    for head in ("choice", "option", "found by", "margin", "tie broken by"):
        grid.add_column(
            head, justify="right" if head in ("found by", "margin") else "left", no_wrap=head != "tie broken by"
        )
    for vote in agreed.found.votes:
        cells = vote.choice, vote.option, f"{vote.votes} of {vote.genotypes}", f"{vote.margin:.2f}", vote.broken_by
        grid.add_row(*map(Text, cells))
    return grid


def _plain(agreed: SearchConsensus, unlike: Sequence[str]) -> dict[str, Any]:
    return {
        "genotype": agreed.genotype.to_json(),
        "searches": [str(run.path) for run in agreed.searches],
        "unfinished": [str(run.path) for run in agreed.unfinished],
        "remarks": [*agreed.remarks(), *unlike],
        "blocks": [{**asdict(vote), "share": vote.share} for vote in agreed.found.votes],
    }


def _next(agreed: SearchConsensus, runs: Sequence[Path], out: Path | None) -> list[str]:
    """Returns lines with the next commands: to write the genotype, if it was not written, and to train it."""
    first = agreed.searches[0]
    file = out or Path(f"{first.config.name}_consensus.json")
    train = ["atrc", "train", _config(first), "-m", str(file), *_folder(agreed.searches)]
    write = ["atrc", "consensus", *map(str, runs), "-o", str(file)]
    keep = [] if out is not None else [f"Keep it:   {shlex.join(write)}"]
    written = [] if out is None else [f"genotype in {out}"]
    return [*written, *keep, f"Train it:  {shlex.join(train)}"]


def _config(run: RunDirectory) -> str:
    """Returns a command's argument for the run's config: an unchanged preset, else the file in the run."""
    from atrc.config import load_config, ships
    from atrc.experiments.plan import changed_keys

    name = run.config.name
    return name if ships(name) and not changed_keys(run, load_config(name)) else str(run.path / "config.yaml")


def _folder(searches: Sequence[RunDirectory]) -> list[str]:
    """Returns ``-o FOLDER`` if all searches belong to one experiment outside the default folder, else nothing."""
    from atrc.runs.names import SEARCH, run_path

    folders = {run.path.parent.parent for run in searches}
    places = all(run.path == run_path(run.path.parent.parent, SEARCH, run.spec.seed) for run in searches)
    default = Path("runs") / searches[0].config.name
    return ["-o", str(*folders)] if len(folders) == 1 and places and folders != {default} else []
