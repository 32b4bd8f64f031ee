"""Commands on trained runs: evaluate, predict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from atrc.cli._app import (
    DataFolder,
    Json,
    OverrideOption,
    Quiet,
    RunsArgument,
    SkipBad,
    app,
    console,
    read_config,
    show_skipped,
)
from atrc.machine.files import json_text
from searchspace.errors import InputError

__all__: list[str] = []

MODELS = "Use"


@app.command(rich_help_panel=MODELS)
def evaluate(
    runs: RunsArgument,
    split: Annotated[str, typer.Option(help="Split of the run's dataset.")] = "val",
    override: OverrideOption = None,
    data: DataFolder = None,
    skip_bad: SkipBad = False,
    save_predictions: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Also write every predicted map as [cyan]DIR/TASK/ID.png[/cyan] or [cyan].npy[/cyan]; "
            "for several runs, as [cyan]DIR/RUN/TASK/ID[/cyan].",
        ),
    ] = None,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure trained runs on a split of their dataset.

    Runs without a network, such as searches by trials, are named and left out.
    """
    from atrc.inference import NoNetwork, PredictionFiles, evaluate_split, open_run
    from atrc.inference.prediction_files import folder_of_each_run
    from atrc.runs import find_runs
    from atrc.setup import Setup

    rows: list[dict[str, Any]] = []
    without: list[NoNetwork] = []
    found = find_runs(runs)
    folders = folder_of_each_run(save_predictions, [run.path for run in found]) if save_predictions else {}
    for run in found:
        config = read_config(str(run.path / "config.yaml"), override, data=data, skip_bad=skip_bad)
        try:
            opened = open_run(run, config.device)
        except NoNetwork as error:
            without.append(error)
            continue
        dataset = Setup.of(config).split(split, opened.tasks)
        save = PredictionFiles(folders[run.path], opened.tasks) if folders else None
        metrics = evaluate_split(config, opened.predictor, dataset, save=save, quiet=quiet)
        rows.append({"run": str(run.path), "split": split, "metrics": metrics, "skipped": dict(dataset.skipped)})
    if not rows:
        raise without[0]
    for left_out in without:
        typer.echo(f"left out: {left_out}", err=True)
    if json_:
        console.print_json(json_text(rows))
        return
    names = list(dict.fromkeys(name for row in rows for name in row["metrics"]))
    table = Table(Column("run", overflow="fold"), *names, box=None, pad_edge=False)
    for row in rows:
        table.add_row(
            row["run"], *(f"{row['metrics'][name]:.4g}" if name in row["metrics"] else "" for name in names)
        )
    console.print(table)
    show_skipped(*({split: row["skipped"]} for row in rows))
    if save_predictions:
        console.print(f"predictions in {save_predictions}")


@app.command(rich_help_panel=MODELS)
def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A trained run's directory.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGES...", help="Image files of any size.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the drawn maps.")] = Path("predictions"),
    quiet: Quiet = False,
) -> None:
    """Draw the predictions of all tasks for image files, at the resolution of each file."""
    from tqdm import tqdm

    from atrc.data.decode import read_image
    from atrc.inference import open_run
    from atrc.inference.predict import draw_maps, predict_image, save_drawings
    from atrc.runs import RunDirectory

    directory = RunDirectory.open(run)
    opened = open_run(directory, directory.config.device)
    size = opened.setup.info.size
    stems = [path.stem for path in images]
    if len(set(stems)) != len(stems):
        raise InputError(
            f"two images share the name {max(stems, key=stems.count)!r}; predict them into different folders"
        )
    for path in tqdm(images, desc="read", unit="image", disable=quiet):
        read_image(path, upright=True)  # raises for a bad file before the first map is written; images are not kept
    written = 0
    for path in tqdm(images, desc="predict", unit="image", disable=quiet):
        drawn = draw_maps(predict_image(opened.predictor, read_image(path, upright=True), size), opened.tasks)
        written += len(list(save_drawings(drawn, out, path.stem)))
    console.print(f"{written} maps of {len(images)} images in {out}")
