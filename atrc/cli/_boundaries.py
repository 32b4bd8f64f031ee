"""The command ``atrc boundaries``, which scores boundary maps of any program."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from atrc.cli._app import Json, Quiet, app, console
from atrc.machine.files import json_text, write_errors_as_input_errors, write_text
from searchspace.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from atrc.metrics import BoundaryCounts, BoundaryScores

if TYPE_CHECKING:
    import pandas as pd

__all__: list[str] = []

PLOTS = (".pdf", ".png", ".svg")


@app.command(rich_help_panel="Use")
def boundaries(
    predictions: Annotated[
        Path,
        typer.Argument(
            metavar="PRED_DIR", help="Folder of boundary probabilities: grey PNG of 8 or 16 bits, or NPY of 0..1."
        ),
    ],
    truths: Annotated[
        Path,
        typer.Argument(metavar="GT_DIR", help="Folder of ground truth with the same names: PNG, NPY, BSDS500's MAT."),
    ],
    ids: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Score only the images that this file lists, one a line."),
    ] = None,
    max_distance: Annotated[
        float, typer.Option(help="Tolerance, a share of the image diagonal; NYUD-v2: 0.011.")
    ] = 0.0075,
    thresholds: Annotated[int, typer.Option(min=1, help="Number of thresholds, spread evenly inside 0..1.")] = 99,
    ignore: Annotated[
        int | None, typer.Option(metavar="VALUE", help="Value of pixels that do not count, e.g. 255.")
    ] = None,
    json_: Json = False,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write the precision-recall curve as CSV.")
    ] = None,
    per_image: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write every image's scores at its best threshold as CSV."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the precision-recall curve as PDF, PNG or SVG.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Number of images at a time; default: one per CPU core.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Compute ODS-F, OIS-F and AP of boundary maps as the BSDS benchmark defines them, without MATLAB.

    A ground truth is 0 where there is no boundary and one other value where there is.
    """
    import numpy as np

    from atrc.data.reader import read_ids
    from atrc.inference.boundary_files import count_pairs, pair_files
    from atrc.metrics import BoundaryF, boundary_scores

    outputs = {"--csv": csv, "--per-image": per_image, "--plot": plot}
    _check_outputs(outputs)
    metric = BoundaryF(max_distance, thresholds)
    pairs = pair_files(predictions, truths, None if ids is None else read_ids(ids, ids.stem))
    counts = count_pairs(pairs, metric, ignore=ignore, jobs=jobs or os.cpu_count() or 1, quiet=quiet)
    curve = _table(np.array(metric.thresholds), counts.total())
    best = counts.own_best()
    images = _table(np.array(metric.thresholds)[best], counts.at(best))
    images.insert(0, "image", [pair.name for pair in pairs])
    for path, table, write in ((csv, curve, _write), (per_image, images, _write), (plot, curve, _draw)):
        if path is not None:
            with write_errors_as_input_errors(path):
                write(table, path)
    scores = boundary_scores(counts, metric.thresholds)
    if json_:
        setting = {"images": len(pairs), "max_distance": max_distance, "thresholds": thresholds}
        typer.echo(json_text(setting | scores._asdict(), indent=2))
        return
    _show(len(pairs), scores)
    for option, path in outputs.items():
        if path is not None:
            console.print(f"{option.removeprefix('--')}: {path}", markup=False)


def _check_outputs(outputs: dict[str, Path | None]) -> None:
    """Raises InputError for an output that could not be written, before anything is counted."""
    for option, path in outputs.items():
        if path is not None and path.is_dir():
            raise InputError(f"{option} {path} is a folder: give a file")
    plot = outputs["--plot"]
    if plot is not None and plot.suffix.lower() not in PLOTS:
        raise InputError(f"--plot {plot} must end in one of {', '.join(PLOTS)}, which names the format")


def _table(thresholds: np.ndarray, counts: BoundaryCounts) -> pd.DataFrame:
    """Returns a table with a row per threshold of all images, or per image at its own threshold."""
    import pandas as pd  # deferred: other commands start without it

    rates = {"threshold": thresholds, "precision": counts.precision, "recall": counts.recall, "f": counts.f}
    return pd.DataFrame(rates | counts._asdict())


def _write(table: pd.DataFrame, path: Path) -> None:
    write_text(path, table.to_csv(index=False, float_format="%.10g", lineterminator="\n"))


def _draw(curve: pd.DataFrame, path: Path) -> None:
    from analysis.figures import draw_precision_recall, write_figure

    write_figure(draw_precision_recall(curve), path)


def _show(images: int, scores: BoundaryScores) -> None:
    cells = {
        "images": f"{images}",
        "ODS-F": f"{scores.ods_f:.2f}",
        "threshold": f"{scores.ods_threshold:.4g}",
        "precision": f"{scores.ods_precision:.2f}",
        "recall": f"{scores.ods_recall:.2f}",
        "OIS-F": f"{scores.ois_f:.2f}",
        "AP": f"{scores.ap:.2f}",
    }
    table = Table(box=None, pad_edge=False)
    for head in cells:
        table.add_column(head, justify="right")
    table.add_row(*cells.values())
    console.print(table)
