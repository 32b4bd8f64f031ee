"""The command that measures speed and memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from atrc.cli._app import app, console
from atrc.machine.files import json_text, write_json
from searchspace.errors import InputError

if TYPE_CHECKING:
    from atrc.bench import Setting

__all__: list[str] = []


@app.command(rich_help_panel="Look up")
def bench(
    name: Annotated[list[str] | None, typer.Argument(help="Names of benchmarks; default: list them all.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Timed rounds; every contender runs once in each.")] = 7,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; default: all cores.")] = None,
    device: Annotated[str, typer.Option(help="Device: auto, cpu, cuda, ...")] = "auto",
    memory: Annotated[bool, typer.Option(help="Also measure peak memory, in a process per contender.")] = True,
    quick: Annotated[bool, typer.Option(help="Use small sizes, to see that a benchmark runs.")] = False,
    profile: Annotated[bool, typer.Option("--profile", help="Show times of operators instead.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Also write the numbers to this JSON file.")] = None,
    figure: Annotated[Path | None, typer.Option(help="Also draw `scaling`, in this folder.")] = None,
) -> None:
    """Measure speed and memory of our code against plain implementations, interleaved in one process."""
    import torch

    from atrc.bench import BENCHMARKS, Setting
    from atrc.machine.devices import pick_device
    from atrc.machine.memory import keep_memory
    from atrc.runs.environment import environment

    if not name:
        _list()
        return
    for one in name:
        BENCHMARKS[one]  # an unknown name stops the command before anything is measured
    if figure is not None and (profile or name != ["scaling"]):
        raise InputError(f"--figure draws the times of the benchmark scaling alone, got {', '.join(name)}")
    torch.set_num_threads(threads or torch.get_num_threads())
    setting = Setting(pick_device(device), repeats, quick)
    kept = keep_memory()
    if not as_json:
        console.print(
            f"{setting.device}, {torch.get_num_threads()} threads; freed memory {'stays in' if kept else 'leaves'} "
            "the process between calls"
        )
    found: list[dict[str, Any]] = []
    for one in name:
        for table, rows in _profiles(one, setting) if profile else _times(one, setting, memory=memory):
            found += rows
            if not as_json:
                console.print(table)
    report = {
        "environment": environment(),
        "device": str(setting.device),
        "threads": torch.get_num_threads(),
        "repeats": repeats,
        "keeps_freed_memory": kept,
        "results": found,
    }
    if as_json:
        typer.echo(json_text(report, indent=2))
    if out is not None:
        write_json(out, report)
    if figure is not None:
        _draw(found, figure)


def _list() -> None:
    from atrc.bench import BENCHMARKS

    table = Table(box=None, pad_edge=False)
    table.add_column("benchmark")
    table.add_column("what it measures")
    for known, entry in sorted(BENCHMARKS.items()):
        table.add_row(known, (entry.__doc__ or "").strip())
    console.print(table)


def _times(name: str, setting: Setting, *, memory: bool) -> Iterator[tuple[Table, list[dict[str, Any]]]]:
    from atrc.bench import measure

    for case in measure(name, setting, memory=memory):
        images = case[0].point.get("images", 0)
        cells = {
            "": [one.contender for one in case],
            "median, ms": [f"{one.median_ms:.1f}" for one in case],
            "quartiles": ["{:.1f} .. {:.1f}".format(*one.quartiles_ms) for one in case],
            "images/s": [f"{1000 * images / one.median_ms:.1f}" for one in case if images],
            "ratio": [f"{one.ratio:.2f}" for one in case],
            "of peak": [f"{one.share_of_peak:.0%}" for one in case if one.share_of_peak is not None],
            "MiB": [f"{one.peak_mb:.0f}" for one in case if one.peak_mb is not None],
        }
        yield _table(f"{name}: {case[0].case}", cells), [asdict(one) for one in case]


def _profiles(name: str, setting: Setting) -> Iterator[tuple[Table, list[dict[str, Any]]]]:
    from atrc.bench import profiled

    for call in profiled(name, setting):
        cells = {
            "": [one.operator for one in call],
            "ms": [f"{one.ms:.1f}" for one in call],
            "share": [f"{one.share:.0%}" for one in call],
            "calls": [str(one.calls) for one in call],
        }
        yield _table(f"{name}: {call[0].case}, {call[0].contender}", cells), [asdict(one) for one in call]


def _table(title: str, cells: dict[str, list[str]]) -> Table:
    """Returns a table with a column for every list that is not empty."""
    table = Table(title=title, box=None, pad_edge=False, title_justify="left")
    columns = {head: column for head, column in cells.items() if column}
    for head in columns:
        table.add_column(head, justify="right" if head else "left", no_wrap=True)
    for row in zip(*columns.values(), strict=True):
        table.add_row(*row)
    return table


def _draw(rows: list[dict[str, Any]], folder: Path) -> None:
    import pandas as pd

    from analysis.figures import draw_scaling, save_figure

    table = pd.DataFrame([{**row, **row["point"]} for row in rows])
    table[["low_ms", "high_ms"]] = table["quartiles_ms"].tolist()
    folder.mkdir(parents=True, exist_ok=True)
    for path in save_figure(draw_scaling(table), folder, "scaling"):
        console.print(str(path))
