"""Commands on networks and trained runs: evaluate, predict, resources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from tqdm import tqdm

from atrc.build import build_tasks, cp_space, describe_dataset, import_plugins
from atrc.cli._app import ConfigArgument, Json, OverrideOption, Quiet, RunsArgument, app, console, read_config
from atrc.predict import draw_maps, predict_image, read_image, save_drawings
from atrc.resource_table import resource_rows
from atrc.runs import RunDirectory, find_runs
from atrc.training import evaluate_split, load_learner, pick_device
from searchspace import InputError

__all__: list[str] = []

MODELS = "Use"


@app.command(rich_help_panel=MODELS)
def evaluate(
    runs: RunsArgument,
    split: Annotated[str, typer.Option(help="Split of the run's dataset.")] = "val",
    override: OverrideOption = None,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure trained runs on a split of their dataset."""
    rows: list[tuple[str, dict[str, float]]] = []
    for run in find_runs(runs):
        config = read_config(str(run.path / "config.yaml"), override)
        device = pick_device(config.device)
        learner = load_learner(run, device)
        metrics = evaluate_split(config, learner, split, device, quiet=quiet)
        rows.append((str(run.path), metrics))
    if json_:
        console.print_json(json.dumps([{"run": run, "split": split, "metrics": metrics} for run, metrics in rows]))
        return
    names = list(dict.fromkeys(name for _, metrics in rows for name in metrics))
    table = Table("run", *names, box=None, pad_edge=False)
    for path, metrics in rows:
        table.add_row(path, *(f"{metrics[name]:.4g}" if name in metrics else "" for name in names))
    console.print(table)


@app.command(rich_help_panel=MODELS)
def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A trained run's directory.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGES...", help="Image files of any size.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the drawn maps.")] = Path("predictions"),
    quiet: Quiet = False,
) -> None:
    """Draw every task's prediction for image files, at their own resolution."""
    directory = RunDirectory.open(run)
    learner = load_learner(directory, pick_device(directory.config.device))
    size = describe_dataset(directory.config).size
    pictures = {path: read_image(path) for path in images}  # all of them, before the first file is written
    stems = [path.stem for path in images]
    if len(set(stems)) != len(stems):
        raise InputError(f"two images share the name {max(stems, key=stems.count)!r}; predict them into two folders")
    written: list[Path] = []
    for path, image in tqdm(pictures.items(), desc="predict", unit="image", disable=quiet):
        drawn = draw_maps(predict_image(learner, image, size), learner.tasks)
        written += save_drawings(drawn, out, path.stem)
    console.print(f"{len(written)} maps of {len(images)} images in {out}")


@app.command(rich_help_panel=MODELS)
def resources(
    config: ConfigArgument,
    override: OverrideOption = None,
    size: Annotated[str | None, typer.Option(metavar="HxW", help="Image size; default: the dataset's.")] = None,
    json_: Json = False,
) -> None:
    """Count parameters and multiply-adds of every network of a config."""
    settings = read_config(config, override)
    import_plugins(settings)
    info = describe_dataset(settings)
    image = _parse_size(size) if size else info.size
    rows = resource_rows(settings, build_tasks(settings, info), cp_space(settings), image)
    if json_:
        console.print_json(json.dumps({"size": image, "rows": rows}))
        return
    table = Table(box=None, pad_edge=False, title=f"{settings.name}: one 3x{image[0]}x{image[1]} image")
    table.add_column("network")
    table.add_column("parameters", justify="right")
    table.add_column("MAdds (G)", justify="right")
    for row in rows:
        adds = row["multiply_adds"]
        table.add_row(
            str(row["network"]),
            f"{row['parameters']:,}".replace(",", " "),
            f"{adds / 1e9:.3f}" if isinstance(adds, int) else "-",
        )
    console.print(table)


def _parse_size(text: str) -> tuple[int, int]:
    height, cross, width = text.lower().partition("x")
    if not cross or not height.isdigit() or not width.isdigit() or min(int(height), int(width)) < 32:
        raise InputError(f"--size {text!r} is not HxW with both at least 32, e.g. 425x560")
    return int(height), int(width)
