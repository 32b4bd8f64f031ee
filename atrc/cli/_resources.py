"""The command ``atrc resources``, which counts parameters and multiply-adds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from atrc.cli._app import Json, OverrideOption, app, console, read_config
from atrc.machine.files import json_text
from searchspace.errors import InputError

if TYPE_CHECKING:
    from analysis.resources import ResourceRow
    from atrc.costs import Resources

__all__: list[str] = []


@app.command(rich_help_panel="Use")
def resources(
    config: Annotated[
        str | None, typer.Argument(metavar="[CONFIG|RUN]", help="A preset, a YAML file, or the directory of a run.")
    ] = None,
    override: OverrideOption = None,
    size: Annotated[str | None, typer.Option(metavar="HxW", help="Image size; default: the dataset's.")] = None,
    table: Annotated[
        str | None,
        typer.Option(metavar="NUMBER", help="Number of a table of the paper: compare our counts with it."),
    ] = None,
    json_: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
) -> None:
    """Count parameters and multiply-adds of the parts of a run's network, or of all networks of a config."""
    from analysis.resources import resource_rows, run_resources
    from atrc.runs import RunDirectory
    from atrc.setup import Setup

    if json_ and csv:
        raise InputError("give either --json or --csv, not both")
    if (config is None) == (table is None):
        raise InputError("name either a config or a run, or a table of the paper with --table")
    if table is not None:
        _published(table, json_, csv)
        return

    assert config is not None
    name = ""
    wanted = _parse_size(size) if size else None
    if (Path(config) / "run.json").is_file():
        run = RunDirectory.open(Path(config))
        shape, rows = wanted or Setup.of(run.config).info.size, [run_resources(run, wanted)]
    else:
        settings = read_config(config, override)
        shape, name = wanted or Setup.of(settings).info.size, f"{settings.name}: "
        rows = resource_rows(settings, shape)
    if json_:
        console.print_json(json_text({"size": shape, "rows": [_plain(row) for row in rows]}))
    elif csv:
        import pandas as pd  # deferred: other commands start without it

        typer.echo(pd.DataFrame([_flat(row) for row in rows]).to_csv(index=False), nl=False)
    else:
        _show(f"{name}one 3x{shape[0]}x{shape[1]} image", rows)


def _published(number: str, json_: bool, csv: bool) -> None:
    from analysis.paper.resources import paper_resources

    counted = paper_resources(number)
    if json_:
        console.print_json(counted.to_json(orient="records"))
    elif csv:
        typer.echo(counted.to_csv(index=False), nl=False)
    else:
        grid = Table(box=None, pad_edge=False, title=f"Table {number}: one 3x425x560 image, counted and published")
        for column in ("network", "params (M)", "rounded", "paper", "MAdds (G)", "paper", "difference (%)"):
            grid.add_column(column, justify="left" if column == "network" else "right")
        for row in counted.to_dict("records"):
            grid.add_row(
                row["label"],
                f"{row['parameters'] / 1e6:.3f}",
                f"{row['rounded_parameters_M']:.2f}",
                f"{row['paper_parameters_M']:.2f}",
                f"{row['multiply_adds'] / 1e9:.3f}",
                f"{row['paper_multiply_adds_G']:.2f}",
                f"{row['multiply_adds_difference_percent']:+.2f}",
            )
        console.print(grid)
        console.print("The column 'rounded' rounds as the paper does: every network by itself, then their sum.")


def _show(title: str, rows: Sequence[ResourceRow]) -> None:
    """Prints a table for each quantity, with a column for every part that costs something in a row."""
    from atrc.costs import Resources

    quantities: dict[str, Callable[[Resources], str]] = {
        "parameters": lambda cost: f"{cost.parameters:,}".replace(",", " "),
        "multiply-adds (G)": lambda cost: f"{cost.multiply_adds / 1e9:.3f}",
    }
    nothing = Resources(0, 0)
    parts = [part for part in dict.fromkeys(p for row in rows for p in row.parts) if _has(rows, part)]
    for quantity, text in quantities.items():
        grid = Table(box=None, pad_edge=False, title=f"{title}, {quantity}")
        grid.add_column("network", no_wrap=True)
        for head in ("total", *parts):
            grid.add_column(head, justify="right", no_wrap=True)
        for row in rows:
            costs = (row.parts.get(part, nothing) for part in parts)
            grid.add_row(row.network, text(row.total), *("" if cost == nothing else text(cost) for cost in costs))
        console.print(grid)


def _has(rows: Sequence[ResourceRow], part: str) -> bool:
    from atrc.costs import Resources

    return any(row.parts.get(part, Resources(0, 0)) != Resources(0, 0) for row in rows)


def _numbers(cost: Resources) -> dict[str, int]:
    return {"parameters": cost.parameters, "multiply_adds": cost.multiply_adds}


def _plain(row: ResourceRow) -> dict[str, Any]:
    parts = {part: _numbers(cost) for part, cost in row.parts.items()}
    return {"network": row.network, "model": row.model, **_numbers(row.total), "parts": parts}


def _flat(row: ResourceRow) -> dict[str, Any]:
    of_parts = {f"{part}_{name}": n for part, cost in row.parts.items() for name, n in _numbers(cost).items()}
    return {"network": row.network, "model": row.model, **_numbers(row.total), **of_parts}


def _parse_size(text: str) -> tuple[int, int]:
    height, cross, width = text.lower().partition("x")
    if not cross or not height.isdigit() or not width.isdigit() or min(int(height), int(width)) < 32:
        raise InputError(f"--size {text!r} must be HxW with both at least 32, e.g. 425x560")
    return int(height), int(width)
