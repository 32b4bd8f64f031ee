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
    table = Table(title=f"{case[0].benchmark}: {case[0].case}", box=None, pad_edge=False, title_justify="left")
    for head in ("contender", "median [ms]", "quartiles [ms]", "times faster", "share of peak", "peak memory [MB]"):
        table.add_column(head, justify="left" if head == "contender" else "right")
    for one in case:
        low, high = one.quartiles_ms
        table.add_row(
            one.contender,
            f"{one.median_ms:.1f}",
            f"{low:.1f} .. {high:.1f}",
            f"{one.ratio:.2f}",
            "" if one.share_of_peak is None else f"{one.share_of_peak:.0%}",
            "" if one.peak_mb is None else f"{one.peak_mb:.0f}",
        )
    return table
