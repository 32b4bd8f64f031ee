"""Commands that list presets, strategies, and the entries of all registries."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from atrc.cli._app import Json, OverrideOption, app, console, read_config
from atrc.machine.files import json_text
from atrc.machine.imports import without_collections

if TYPE_CHECKING:
    from searchspace import Registry
    from strategies import Strategy

__all__: list[str] = []

LISTS = "Look up"
OURS = {"searchspace", "strategies", "atrc", "analysis"}

OptionalConfig = Annotated[
    str | None, typer.Argument(metavar="[CONFIG]", help="A preset or a YAML file whose plugins are imported first.")
]


@app.command(rich_help_panel=LISTS)
def presets() -> None:
    """List the configs that ship with the package."""
    from atrc.config import load_config, preset_names, variant_names, variant_summary

    table = Table(box=None, pad_edge=False)
    for head in ("preset", "dataset", "tasks", "backbone", "search steps", "seeds"):
        table.add_column(head)
    for name in preset_names():
        config = load_config(name)
        table.add_row(
            name,
            config.dataset.name,
            ", ".join(config.tasks),
            config.backbone.name,
            f"{config.search.steps:,}",
            str(len(config.seeds)),
        )
    console.print(table)
    console.print("A variant changes a preset, as in [cyan]rooms4+short[/cyan]; several apply one after the other:")
    changes = Table("variant", "what it changes", box=None, pad_edge=False)
    for name in variant_names():
        changes.add_row(name, variant_summary(name))
    console.print(changes)


@app.command(rich_help_panel=LISTS)
def strategies(config: OptionalConfig = None, override: OverrideOption = None, json_: Json = False) -> None:
    """List the search strategies; with a config or -s plugins=..., also those of its plugins."""
    _import_plugins(config, override)
    with without_collections():
        from strategies import STRATEGIES

        every = sorted(STRATEGIES.items(), key=lambda item: (item[1].kind == "multi-trial", item[0]))
    rows = [
        {"name": name, "kind": entry.kind, "cost": _cost(entry), "summary": entry.summary, "paper": entry.paper}
        for name, entry in every
    ]
    if json_:
        console.print_json(json_text(rows))
        return
    table = Table(box=None, pad_edge=False)
    for head in ("strategy", "kind", "cost", "what it does", "source"):
        table.add_column(head, no_wrap=head == "strategy")
    for row in rows:
        table.add_row(*row.values())
    _wide().print(table)
    _show_added([STRATEGIES])
    console.print(
        "Cost: forward and backward passes of a search step (plain training: 1) x options of a choice that each pass "
        "computes. Times: atrc bench strategies."
    )


def _wide() -> Console:
    """Returns the console of the terminal, or a wide one if the output goes elsewhere."""
    return console if console.is_terminal else Console(width=200, highlight=False)


def _cost(entry: type[Strategy]) -> str:
    """Returns the cost of a search step, compared with a step of plain training."""
    from strategies import OneShotStrategy

    if not issubclass(entry, OneShotStrategy):
        return "one training per trial"
    return f"{entry.passes:g} x {entry.active_paths}"


@app.command(rich_help_panel=LISTS)
def registry(config: OptionalConfig = None, override: OverrideOption = None, json_: Json = False) -> None:
    """List every registered name, and the entry-point groups by which your own packages add names.

    With a config or -s plugins=..., the list includes the names of its plugins. Names from outside this project are
    listed with their source.
    """
    _import_plugins(config, override)
    every = _registries()
    if json_:
        rows = [
            {"what": one.noun, "group": one.group, "name": name, "source": source, "summary": said}
            for one in every
            for name, source, said in _described(one, one)
        ]
        console.print_json(json_text(rows))
        return
    table = Table(box=None, pad_edge=False)
    for head in ("what", "entry-point group", "names"):
        table.add_column(head)
    for one in every:
        table.add_row(one.noun, one.group, ", ".join(sorted(one)))
    console.print(table)
    _show_added(every)


def _registries() -> list[Registry[Any]]:
    """Returns all registries, in the order of a config."""
    from analysis.views import VIEWS
    from atrc.backbones import BACKBONES
    from atrc.bench import BENCHMARKS, PRESET_BENCHMARKS
    from atrc.contexts import CONTEXTS
    from atrc.costs import MEASURES
    from atrc.data import DATASETS
    from atrc.data.planted.content import CONTENTS
    from atrc.distillation import DISTILLATIONS
    from atrc.heads import HEADS
    from atrc.necks import NECKS
    from atrc.supernets import SUPERNETS
    from atrc.tasks import TASKS
    from atrc.trackers import TRACKERS
    from atrc.training.scoring import SCORERS
    from searchspace import SPACES
    from strategies import STRATEGIES

    networks = BACKBONES, NECKS, HEADS, CONTEXTS, DISTILLATIONS, SUPERNETS
    around = SCORERS, MEASURES, TRACKERS, CONTENTS, BENCHMARKS, PRESET_BENCHMARKS, VIEWS
    return [SPACES, STRATEGIES, TASKS, DATASETS, *networks, *around]


def _import_plugins(config: str | None, override: list[str] | None) -> None:
    """Imports the plugins of a config, or those that overrides alone name."""
    if config is None and not override:
        return
    from atrc.config import import_plugins

    import_plugins(read_config(config or "demo", override))


def _show_added(registries: Sequence[Registry[Any]]) -> None:
    """Prints a table of entries from outside this project: name, source and description."""
    table = Table("added", "name", "source", "what it does", box=None, pad_edge=False)
    for one in registries:
        foreign = [name for name, entry in one.items() if entry.__module__.split(".")[0] not in OURS]
        for name, source, said in _described(one, foreign):
            table.add_row(one.noun, name, source, said)
    if table.row_count:
        _wide().print(table)


def _described(registry: Registry[Any], names: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Yields name, source and description of entries: their summary, or the first line of their docstring."""
    for name in sorted(names):
        from atrc.config import source_of  # here, since most lists have no foreign entry

        entry = registry[name]
        said = getattr(entry, "summary", None) or inspect.getdoc(entry) or ""
        yield name, source_of(entry), str(said).partition("\n")[0]
