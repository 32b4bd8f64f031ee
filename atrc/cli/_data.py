"""Commands on datasets: ``atrc data preview`` and ``atrc data check``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from atrc.cli._app import ConfigArgument, DataFolder, Json, OverrideOption, SkipBad, app, console, read_config
from atrc.machine.files import json_text, writing
from searchspace.errors import InputError

__all__: list[str] = []

data = typer.Typer(no_args_is_help=True, help="Look at a dataset, and check its files.")
app.add_typer(data, name="data", rich_help_panel="Use")


@data.command()
def preview(
    config: ConfigArgument,
    override: OverrideOption = None,
    folder: DataFolder = None,
    skip_bad: SkipBad = False,
    split: Annotated[str, typer.Option(help="Split of the dataset.")] = "train",
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Number of samples, evenly spaced.")] = 8,
    out: Annotated[Path, typer.Option("--out", "-o", help="PNG file to write.")] = Path("preview.png"),
) -> None:
    """Draw a contact sheet of images with all their label maps."""
    settings = read_config(config, override, data=folder, skip_bad=skip_bad)
    from atrc.data.preview import contact_sheet
    from atrc.setup import Setup

    setup = Setup.of(settings)
    dataset = setup.split(split)
    count = min(count, len(dataset))
    indices = [i * len(dataset) // count for i in range(count)]
    sheet = contact_sheet(dataset, setup.tasks, indices, None)
    with writing(out) as file:
        sheet.save(file, format="PNG")
    console.print(f"{count} of {len(dataset)} samples of {dataset.info.name} ({split}) in {out}")


@data.command()
def check(
    config: ConfigArgument, override: OverrideOption = None, folder: DataFolder = None, json_: Json = False
) -> None:
    """Read every sample of every split, name each bad file, and show statistics of the labels."""
    settings = read_config(config, override, data=folder)
    from atrc.data.check import inspect_dataset
    from atrc.setup import Setup

    info = Setup.of(settings).info
    report = inspect_dataset(settings.dataset.name, **settings.dataset.options)
    errors = [problem for problem in report.problems if problem.severity == "error"]
    if json_:
        problems = [
            {"split": p.split, "id": p.id, "severity": p.severity, "message": p.message} for p in report.problems
        ]
        console.print_json(json_text({"samples": dict(report.samples), "problems": problems}))
    else:
        table = Table("split", "task", "class", "share of labelled pixels", "samples", box=None, pad_edge=False)
        for row in json.loads(report.statistics.to_json(orient="records")):  # JSON turns missing values into None
            values = "" if row["mean"] is None else "{minimum:.3g} .. {maximum:.3g}, mean {mean:.3g}".format(**row)
            table.add_row(
                row["split"],
                row["task"],
                row["name"] or "",
                values if row["share"] is None else f"{row['share']:.2%}",
                str(row["images"]),
            )
        console.print(table)
        for problem in report.problems:
            console.print(str(problem), style="red" if problem.severity == "error" else "yellow", markup=False)
        total = ", ".join(f"{n} {split}" for split, n in report.samples.items())
        console.print(f"{info.name}: {total} samples can be read; {len(errors)} errors")
    if errors:
        raise InputError(f"{info.name}: {len(errors)} samples cannot be used, the first because: {errors[0].message}")
