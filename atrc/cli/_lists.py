"""Commands that list what there is: presets, strategies, and every other registry."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from atrc.backbones import BACKBONES
from atrc.cli._app import Json, app, console
from atrc.config import load_config, preset_names, variant_names, variant_summary
from atrc.contexts import CONTEXTS
from atrc.costs import MEASURES
from atrc.data import DATASETS
from atrc.distillation import DISTILLATIONS
from atrc.heads import HEADS
from atrc.machine.files import json_text
from atrc.necks import NECKS
from atrc.supernets import SUPERNETS
from atrc.tasks import TASKS
from atrc.trackers import TRACKERS
from atrc.training.scoring import SCORERS
from searchspace import SPACES
from strategies import STRATEGIES, OneShotStrategy, Strategy

__all__: list[str] = []

LISTS = "Look up"


@app.command(rich_help_panel=LISTS)
def presets() -> None:
    """List the configs that ship with the package."""
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
    console.print("A preset is changed by a variant as in [cyan]rooms4+short[/cyan], by several one after the other:")
    changes = Table("variant", "what it changes", box=None, pad_edge=False)
    for name in variant_names():
        changes.add_row(name, variant_summary(name))
    console.print(changes)


@app.command(rich_help_panel=LISTS)
def strategies(json_: Json = False) -> None:
    """List the search strategies."""
    rows = [
        {"name": name, "kind": entry.kind, "cost": _cost(entry), "summary": entry.summary, "paper": entry.paper}
        for name, entry in sorted(STRATEGIES.items(), key=lambda item: (item[1].kind == "multi-trial", item[0]))
    ]
    if json_:
        console.print_json(json_text(rows))
        return
    table = Table(box=None, pad_edge=False)
    for head in ("strategy", "kind", "cost", "what it does", "source"):
        table.add_column(head, no_wrap=head == "strategy")
    for row in rows:
        table.add_row(*row.values())
    # A line each where no terminal is too narrow for it.
    (console if console.is_terminal else Console(width=200, highlight=False)).print(table)
    console.print(
        "Cost: passes (forward and backward) of a search step, where plain training has one; and how many options of "
        "a choice they compute. Times: atrc bench strategies."
    )


def _cost(entry: type[Strategy]) -> str:
    """What a search step costs beside one of plain training."""
    if not issubclass(entry, OneShotStrategy):
        return "a training a trial"
    return f"{entry.passes:g} x {entry.active_paths}"


@app.command(rich_help_panel=LISTS)
def registry() -> None:
    """List every registered name, and the entry-point group that adds one from a package of your own."""
    table = Table(box=None, pad_edge=False)
    for head in ("what", "entry-point group", "names"):
        table.add_column(head)
    networks = BACKBONES, NECKS, HEADS, CONTEXTS, DISTILLATIONS, SUPERNETS
    for entries in (SPACES, STRATEGIES, TASKS, DATASETS, *networks, SCORERS, MEASURES, TRACKERS):
        table.add_row(entries.noun, entries.group, ", ".join(sorted(entries)))
    console.print(table)
