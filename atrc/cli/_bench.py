"""The command that measures speed and memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from atrc.cli._app import OverrideOption, app, console
from atrc.machine.files import json_text, write_json
from searchspace.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from atrc.bench import Setting

__all__: list[str] = []


@app.command(rich_help_panel="Look up")
def bench(
    name: Annotated[
        list[str] | None,
        typer.Argument(
            help="Names of benchmarks; default: list them all. After a benchmark of presets: presets or YAML files, "
            "e.g. [cyan]step demo[/cyan]."
        ),
    ] = None,
    override: OverrideOption = None,
    repeats: Annotated[int, typer.Option(min=1, help="Timed rounds; every contender runs once in each.")] = 7,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads; default: all cores, one for benchmarks of presets.")
    ] = None,
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

    from atrc.bench import PRESET_BENCHMARKS, Setting
    from atrc.machine.devices import pick_device
    from atrc.machine.memory import keep_memory
    from atrc.runs.environment import environment

    if not name:
        _list()
        return
    of_presets = name[0] in PRESET_BENCHMARKS
    (_check_presets if of_presets else _check_names)(name, override)  # before anything is measured
    if figure is not None and (profile or name != ["scaling"]):
        raise InputError(f"--figure draws the times of the benchmark scaling alone, got {', '.join(name)}")
    if of_presets and profile:
        raise InputError(f"--profile shows operators of benchmarks with cases; {name[0]} has times of parts instead")
    torch.set_num_threads(threads or (1 if of_presets else torch.get_num_threads()))
    setting = Setting(pick_device(device), repeats, quick)
    kept = keep_memory()
    if not as_json:
        number = torch.get_num_threads()
        console.print(
            f"{setting.device}, {number} thread{'s' if number > 1 else ''}; freed memory "
            f"{'stays in' if kept else 'leaves'} the process between calls"
        )
    facts = {
        "environment": environment(),
        "device": str(setting.device),
        "threads": torch.get_num_threads(),
        "repeats": repeats,
        "keeps_freed_memory": kept,
    }
    report: dict[str, Any]
    if of_presets:
        report = _of_presets(name[0], name[1:], override or [], setting, facts, show=not as_json)
    else:
        found: list[dict[str, Any]] = []
        for one in name:
            for table, rows in _profiles(one, setting) if profile else _times(one, setting, memory=memory):
                found += rows
                if not as_json:
                    console.print(table)
        report = {**facts, "results": found}
    if as_json:
        typer.echo(json_text(report, indent=2))
    if out is not None:
        write_json(out, report)
    if figure is not None:
        _draw(report["results"], figure)


def _check_names(names: Sequence[str], override: Sequence[str] | None) -> None:
    """Refuses a name that is no benchmark with cases."""
    from atrc.bench import BENCHMARKS, PRESET_BENCHMARKS
    from atrc.config import ships

    for number, one in enumerate(names):
        if one in PRESET_BENCHMARKS:
            raise InputError(f"benchmark {one!r} takes presets, so it runs by itself: atrc bench {one} PRESET")
        if one in BENCHMARKS:
            continue
        if number and (ships(one) or Path(one).is_file()):
            raise InputError(f"benchmark {names[number - 1]!r} takes no preset, got {one!r}")
        raise UnknownNameError("benchmark", one, sorted([*BENCHMARKS, *PRESET_BENCHMARKS]))
    if override:
        raise InputError(f"--set changes a preset; benchmark {names[0]!r} takes none")


def _check_presets(names: Sequence[str], override: Sequence[str] | None) -> None:
    """Refuses a benchmark of presets without one, and presets that cannot be loaded."""
    from atrc.config import load_config

    benchmark, *presets = names
    if not presets:
        raise InputError(f"benchmark {benchmark!r} needs a preset or a YAML file, e.g. atrc bench {benchmark} demo")
    if len(set(presets)) < len(presets):
        raise InputError(f"benchmark {benchmark!r} got a preset twice: {', '.join(presets)}")
    for one in presets:
        load_config(one, override or [])


def _of_presets(
    benchmark: str,
    presets: Sequence[str],
    override: Sequence[str],
    setting: Setting,
    facts: Mapping[str, Any],
    *,
    show: bool,
) -> dict[str, Any]:
    """Returns the numbers of a preset; of several, preset -> its numbers."""
    from atrc.bench import PRESET_BENCHMARKS

    found: dict[str, dict[str, Any]] = {}
    for preset in presets:
        outcome = PRESET_BENCHMARKS[benchmark](preset, override, setting)
        found[preset] = {**outcome.numbers, **facts}
        if show:
            console.print(_table(outcome.title, outcome.columns))
    return found if len(found) > 1 else found[presets[0]]


def _list() -> None:
    from atrc.bench import BENCHMARKS, PRESET_BENCHMARKS

    table = Table(box=None, pad_edge=False)
    table.add_column("benchmark")
    table.add_column("what it measures")
    known = {**BENCHMARKS, **{f"{name} PRESET": entry for name, entry in PRESET_BENCHMARKS.items()}}
    for name, entry in sorted(known.items()):
        table.add_row(name, (entry.__doc__ or "").strip())
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


def _table(title: str, cells: Mapping[str, Sequence[str]]) -> Table:
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
