"""Writes what a table of a space says about the space: tables and figures, as ``atrc cpbench info -o`` shows them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.cpbench import (
    TableFacts,
    budget_agreement,
    planted_genotypes,
    seeds_of_genotypes,
    table_facts,
    table_results,
    worse_than_best,
)
from analysis.figures import FORMATS, draw_effects, draw_optima, draw_table_cost, save_figure
from analysis.landscape import choice_effects, local_optima, option_means
from analysis.tables import write_table
from analysis.views import view_of
from atrc.cpbench import Tabled
from atrc.setup import Setup

__all__ = ["write_table_report"]

DELTA_M = r"$\Delta_m$ [%], ↑ better"


def write_table_report(table: Tabled, out: Path, formats: Sequence[str] = FORMATS) -> TableFacts:
    """Writes tables and figures of the space's own truths, at the full budget, and returns the facts of the table.

    Files begin with the table's name: ``genotypes`` (mean, rank and test of every genotype), ``effects`` and
    ``shares`` (of choices), ``optima`` (local ones), ``budgets`` (how smaller budgets order genotypes), and figures
    ``effects``, ``optima``, ``cost``.

    Args:
        table: The table.
        out: Folder of the files; made if missing.
        formats: Formats of the figures.
    """
    results = table_results(table)
    facts = table_facts(table, results)
    space, full = Setup.of(table.card.config).space, table.card.budgets[-1]
    choices = list(space)
    values = seeds_of_genotypes(results, choices, full)
    words = view_of(space).words
    tested, means, shares = worse_than_best(values), option_means(values), choice_effects(values)
    optima = local_optima(values, space)
    for name, frame in (
        ("genotypes", tested.reset_index()),
        ("effects", means),
        ("shares", shares),
        ("optima", optima),
        ("budgets", budget_agreement(results, choices, table.card.budgets)),
    ):
        write_table(frame, out, f"{table.name}_{name}")
    costs = results[results["steps"] == full].groupby(choices)["multiply_adds"].first().loc[values.index]
    points = pd.DataFrame({"result": values.mean(axis=1), "multiply_adds": costs})
    alike = len(values) - facts.distinguishable
    figures = {
        "effects": draw_effects(means, shares, r"[points of $\Delta_m$]", words),
        "optima": draw_optima(values, optima, alike, DELTA_M),
        "cost": draw_table_cost(points, _named(table, list(values.index)), DELTA_M),
    }
    for name, figure in figures.items():
        save_figure(figure, out, f"{table.name}_{name}", formats)
    return facts


def _named(table: Tabled, genotypes: Sequence[tuple[str, ...]]) -> dict[str, list[int]]:
    """Name in the figure -> rows of the genotypes: those that were planted, and one option everywhere."""
    space = Setup.of(table.card.config).space
    named = {"planted": planted_genotypes(table), **{name: [one] for name, one in space.named().items()}}
    places = {genotype: place for place, genotype in enumerate(genotypes)}
    keys = {name: [tuple(one.values()) for one in of] for name, of in named.items()}
    found = {name: [places[key] for key in of if key in places] for name, of in keys.items()}
    return {name: rows for name, rows in found.items() if rows}
