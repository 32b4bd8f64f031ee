"""The command that measures speed and memory."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.table import Table

from atrc.bench import BENCHMARKS, Measurement, Setting, measure
from atrc.cli._app import app, console
from atrc.files import write_json
from atrc.runs import environment
from atrc.training import pick_device
from atrc.training.allocator import keep_memory

__all__: list[str] = []


@app.command(rich_help_panel="Look up")
def bench(
    name: Annotated[list[str] | None, typer.Argument(help="Benchmarks; without any, they are listed.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Timed rounds; every contender runs once a round.")] = 7,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; default: all cores.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    memory: Annotated[bool, typer.Option(help="Peak memory as well, in a process per contender.")] = True,
    quick: Annotated[bool, typer.Option(help="Small sizes: to see that it runs, not to measure.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A JSON file for the numbers.")] = None,
) -> None:
    """Measure speed and memory of ours against the plain formulation, interleaved in one process."""
    if not name:
        _list()
        return
    for one in name:
        BENCHMARKS[one]  # an unknown name stops before anything is measured
    torch.set_num_threads(threads or torch.get_num_threads())
    setting = Setting(pick_device(device), repeats, quick)
    kept = keep_memory()
    found = []
    if not as_json:
        console.print(
            f"{setting.device}, {torch.get_num_threads()} threads; freed memory {'stays in' if kept else 'leaves'} "
            "the process between calls"
        )
    for one in name:
        for case in measure(one, setting, memory=memory):
            found += case
            if not as_json:
                console.print(_table(case))
    report = {
        "environment": environment(),
        "device": str(setting.device),
        "threads": torch.get_num_threads(),
        "repeats": repeats,
        "keeps_freed_memory": kept,
        "results": [asdict(one) for one in found],
    }
    if as_json:
        typer.echo(json.dumps(report, indent=2))
    if out is not None:
        write_json(out, report)


def _list() -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("benchmark")
    table.add_column("what it measures")
    for known, entry in sorted(BENCHMARKS.items()):
        table.add_row(known, (entry.__doc__ or "").strip())
    console.print(table)


def _table(case: list[Measurement]) -> Table:
    cells: dict[str, list[str]] = {
        "": [one.contender for one in case],
        "median [ms]": [f"{one.median_ms:.1f}" for one in case],
        "quartiles": ["{:.1f} .. {:.1f}".format(*one.quartiles_ms) for one in case],
        "ratio": [f"{one.ratio:.2f}" for one in case],
        "of peak": [f"{one.share_of_peak:.0%}" for one in case if one.share_of_peak is not None],
        "[MB]": [f"{one.peak_mb:.0f}" for one in case if one.peak_mb is not None],
    }
    table = Table(title=f"{case[0].benchmark}: {case[0].case}", box=None, pad_edge=False, title_justify="left")
    measured = {head: column for head, column in cells.items() if column}
    for head in measured:
        table.add_column(head, justify="right" if head else "left", no_wrap=True)
    for row in zip(*measured.values(), strict=True):
        table.add_row(*row)
    return table
