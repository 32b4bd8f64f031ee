"""Commands that read runs: analyze, report, importance, attention."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from atrc.cli._app import Formats, Json, Quiet, RunsArgument, app, console, figure_formats
from atrc.cli._show import LIBRARIES, show_analysis, show_lookup
from atrc.machine.files import json_text
from atrc.machine.imports import few_collections, import_all
from searchspace.errors import InputError

__all__: list[str] = []


By = Annotated[
    str | None,
    typer.Option(metavar="KEY", help="Config key that groups searches in Fig. 7, e.g. strategy.name."),
]
Printers = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, help="Number of processes that write figures; default: by cores."),
]
Networks = Annotated[
    bool, typer.Option(help="Also run trained networks, for importance of blocks, attention maps and predictions.")
]


@app.command(rich_help_panel="Use")
def analyze(
    runs: RunsArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the tables and figures.")] = Path("analysis"),
    by: By = None,
    networks: Networks = True,
    formats: Formats = None,
    jobs: Printers = None,
    quiet: Quiet = False,
) -> None:
    """Make tables and figures from runs: metrics, Delta_m, genotypes or trees, agreement, importance, attention."""
    chosen = figure_formats(formats)
    if searched := _lookups(runs):
        for folder in searched:
            show_lookup(folder, out if len(searched) == 1 else out / folder.resolve().name, formats=chosen)
        return
    show_analysis(runs, out, by=by, networks=networks, formats=chosen, jobs=jobs, quiet=quiet)


@app.command(rich_help_panel="Use")
def report(
    runs: RunsArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the page, its tables and its figures.")] = Path(
        "report"
    ),
    by: By = None,
    networks: Networks = True,
    formats: Formats = None,
    jobs: Printers = None,
    quiet: Quiet = False,
) -> None:
    """Write one HTML page, readable offline, with everything that analyze makes and the origin of each number.

    The page shows figures as SVG, which is written in any case.
    """
    chosen = {*figure_formats(formats), "svg"}
    if searched := _lookups(runs):
        raise InputError(f"{searched[0]} has searches of a table, which a page does not show; use: atrc analyze")
    from analysis.figures.press import Press, default_jobs

    with few_collections(), Press(jobs or default_jobs()) as press:
        import_all(*LIBRARIES)
        from analysis import analyze as make
        from analysis.report import write_report

        made = make(runs, out, by=by, networks=networks, formats=chosen, press=press, quiet=quiet)
        page = write_report(made)
    for note in made.notes:
        console.print(Text(f"- {note}"))
    console.print(f"{page}: {len(made.figures)} figures; open it in any browser")


def _lookups(folders: list[Path]) -> list[Path]:
    """Returns the folders of `atrc lookup`, if all are; none, if none is.

    Raises:
        InputError: Some are, and others are not.
    """
    found = [folder for folder in folders if (folder / "lookup.yaml").is_file()]
    if found and len(found) < len(folders):
        raise InputError(f"{found[0]} has searches of a table; analyse it without folders of runs")
    return found


@app.command(rich_help_panel="Use")
def importance(
    runs: RunsArgument,
    permutations: Annotated[int, typer.Option(min=1, help="Number of permutations of each block.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the permutations.")] = 0,
    split: Annotated[str, typer.Option(help="Split of the dataset.")] = "val",
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure how far a task's metric drops when the output of one of its blocks is permuted over images (Fig. 6).

    Every run keeps its results as importance.csv, which analyze reads.
    """
    from analysis.source_importance import has_blocks, measure_importance
    from atrc.runs import find_runs

    given = {
        str(run.path): measure_importance(run, split=split, permutations=permutations, seed=seed, quiet=quiet)
        for run in find_runs(runs)
        if has_blocks(run)
    }
    if not given:
        searched = ", ".join(map(str, runs))
        raise InputError(
            f"no run in {searched} has context-pooling blocks; baselines and networks of other spaces have none"
        )
    of_block = {"context": "first", "before": "first", "drop": "mean"}
    tables = {
        path: table.groupby(["target", "source"], sort=False).agg(of_block).reset_index().to_dict("records")
        for path, table in given.items()
    }
    if json_:
        typer.echo(json_text([{"run": path, **row} for path, rows in tables.items() for row in rows], indent=2))
        return
    for path, rows in tables.items():
        drawn = Table(title=Text(path), box=None, pad_edge=False, title_justify="left")
        for head in ("target", "source", "context", "metric", "mean drop"):
            drawn.add_column(head, justify="right" if head in ("metric", "mean drop") else "left")
        for row in rows:
            cells = (str(row[name]) for name in ("target", "source", "context"))
            drawn.add_row(*cells, f"{row['before']:.4g}", f"{row['drop']:+.3g}")
        console.print(drawn)


@app.command(rich_help_panel="Use")
def attention(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A trained run's directory.")],
    image: Annotated[
        Path | None, typer.Argument(metavar="[IMAGE]", help="An image file; default: a validation sample.")
    ] = None,
    sample: Annotated[int, typer.Option(min=0, help="Index of a sample of the validation split.")] = 0,
    pixel: Annotated[str | None, typer.Option(metavar="ROW,COLUMN", help="Pixel; default: the middle.")] = None,
    target: Annotated[list[str] | None, typer.Option("--target", "-t", help="Target task; default: all.")] = None,
    source: Annotated[list[str] | None, typer.Option("--source", help="Source task; default: the target.")] = None,
    context: Annotated[
        list[str] | None, typer.Option("--context", help="Context type of a supergraph; default: the chosen one.")
    ] = None,
    every: Annotated[bool, typer.Option("--every", help="Draw every context type of each block.")] = False,
    formats: Formats = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the figure and the table.")] = Path("attention"),
) -> None:
    """Draw where a pixel of a target task takes its context from, for the chosen pairs of tasks (Fig. 3)."""
    chosen = figure_formats(formats)
    from analysis.attention import attention_maps, attention_table
    from analysis.blocks import Blocks
    from analysis.figures import draw_attention, save_figure
    from analysis.tables import write_table
    from atrc.data.decode import read_image
    from atrc.inference import open_run
    from atrc.runs import RunDirectory

    directory = RunDirectory.open(run)
    opened = open_run(directory, directory.config.device)
    info = opened.setup.info
    if info.grid is not None:
        raise InputError(f"maps of the dataset {info.name} do not lie over its images, so attention cannot be drawn")
    blocks = Blocks(opened.network, opened.predictor.genotype)
    if image is not None:
        picture = read_image(image, upright=True)
    else:
        dataset = opened.split("val")
        if sample >= len(dataset):
            raise InputError(
                f"--sample {sample} is not one of the {len(dataset)} validation samples, 0 to {len(dataset) - 1}"
            )
        picture = dataset[sample].image
    at = _parse_pixel(pixel) if pixel else (picture.shape[0] // 2, picture.shape[1] // 2)
    pairs = [(one, other) for one in target or blocks.space.tasks for other in source or [one]]
    maps = attention_maps(blocks, picture, info.size, at, pairs, context, every=every)
    save_figure(draw_attention(picture, at, maps), out, "attention", chosen)
    write_table(attention_table(maps), out, "attention")
    console.print(f"{len(maps)} attention maps in {out}")


def _parse_pixel(text: str) -> tuple[int, int]:
    row, comma, column = text.partition(",")
    if not comma or not row.strip().isdigit() or not column.strip().isdigit():
        raise InputError(f"--pixel {text!r} is not ROW,COLUMN, e.g. 48,64")
    return int(row), int(column)
