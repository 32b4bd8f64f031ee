"""The summary of a set of runs, or of a comparison of strategies, for a terminal, as rich renderables.

All text from runs (names, paths) goes through `rich.text.Text`, which reads no markup in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from analysis.comparison import Recovery, StrategyComparison
from analysis.differences import answers, compare_models
from analysis.load import Runs
from analysis.multitask import marked, marks_explained, summarize
from analysis.notes import notes
from analysis.power import POWER_OF, power_of_runs, power_sentences
from analysis.recovery import (
    found_by_searches,
    importance_sentences,
    important_blocks,
    recovery,
    recovery_sentences,
)
from analysis.regret import regret_of_searches, regret_sentences
from analysis.significance import LEVEL
from analysis.spaces import space_found
from analysis.tables import decimals, number, plus_minus
from analysis.views import view_of

__all__ = ["comparison_screen", "summary"]


def summary(runs: Runs, *, paired: bool = False) -> list[RenderableType]:
    """Tables, answers and genotypes of every experiment, then the notes on what is missing.

    An experiment's part: metrics and Delta_m per model, the multi-task baseline against the retrained network, and
    what its searches found, with their agreement.

    Args:
        runs: The runs.
        paired: Whether the baseline of Delta_m is the run of the same seed; see `analysis.multitask`.

    Returns:
        Renderables for ``rich.console.Console.print``, in order.
    """
    parts: list[RenderableType] = []
    table = summarize(runs, paired=paired)
    comparisons = compare_models(runs, paired=paired)
    for experiment in runs.experiments:
        rows = table[table["experiment"] == experiment]
        parts += [_performance(rows, runs, experiment), _cost(rows)]
        sentences = answers(comparisons, experiment)
        if sentences:
            parts.append(_section("Does the retrained network beat the multi-task baseline?", sentences))
        if told := power_sentences(power_of_runs(runs, experiment, paired=paired), POWER_OF):
            parts.append(_section("Which differences could these seeds show?", told))
        space = space_found(runs, experiment)
        if space is not None:
            if known := found_by_searches(runs, experiments=[experiment]):
                choice = view_of(space).words.choice
                counted = recovery_sentences(recovery(known), choice)
                said = counted + importance_sentences(important_blocks(runs, experiment))
                parts.append(_section(f"Which planted {choice}s were found?", said))
            regret = regret_of_searches(runs, experiment)
            if len(regret):
                parts.append(_section("How good is what was found?", regret_sentences(regret)))
            parts += view_of(space).on_screen(runs, experiment)
    remarks = notes(runs, paired=paired)
    if remarks:
        parts.append(_section("Notes", remarks))
    return parts


def _section(title: str, lines: Sequence[str]) -> Group:
    return Group(Text(f"\n{title}", style="bold"), *(Text(f"- {line}") for line in lines))


def _performance(rows: pd.DataFrame, runs: Runs, experiment: str) -> Table:
    """Metrics and Delta_m. Cells may wrap before the ``±``, so that the table fits a terminal of 80 columns."""
    table = _table(
        f"{experiment}: mean ± std over runs",
        "std: sample standard deviation of one run. Δm: against the single-task models."
        + "".join(f"\n{said}" for said in marks_explained(rows)),
    )
    for task in runs.tasks.values():
        table.add_column(Text(f"{task.title}\n{task.label}"), justify="right")
    table.add_column(Text("Δm\n[%] ↑"), justify="right")
    digits = {name: decimals(rows[f"{name}_mean"]) for name in runs.tasks}
    for row in rows.to_dict("records"):
        cells = [plus_minus(row[f"{name}_mean"], row[f"{name}_std"], digits[name]) for name in runs.tasks]
        delta = plus_minus(row["delta_m_mean"], row["delta_m_std"], 2, sign=True)
        table.add_row(Text(marked(row)), str(int(row["n"])), *cells, delta)
    return table


def _cost(rows: pd.DataFrame) -> Table:
    table = _table("Cost, mean over runs", "single: summed over its tasks.")
    for head in ("parameters\n[M]", "multiply-adds\n[G]", "training\n[s]"):
        table.add_column(Text(head), justify="right")
    for row in rows.to_dict("records"):
        table.add_row(
            Text(str(row["model"])),
            str(int(row["n"])),
            number(row["parameters"] / 1e6, 3),
            number(row["multiply_adds"] / 1e9, 3),
            plus_minus(row["seconds_mean"], row["seconds_std"], 0),
        )
    return table


def _table(title: str, caption: str) -> Table:
    table = Table(title=Text(title), caption=Text(caption), title_justify="left", caption_justify="left")
    table.add_column("model", no_wrap=True)
    table.add_column("runs", justify="right")
    return table


def comparison_screen(made: StrategyComparison) -> list[RenderableType]:
    """The table for a terminal, then the pairs that differ and the notes."""
    table = Table(box=None, pad_edge=False)
    table.add_column("strategy", no_wrap=True)
    judged, looked_up = bool(made.table["delta_m_mean"].notna().any()), "regret" in made.table
    heads = [
        *(("Δm, %",) if judged else ()),
        *(("regret", "place") if looked_up else ("95 % interval",) if judged else ()),
        *(("mean rank",) if judged else ()),
        *("agreement", "images", "s", "peak MiB"),
    ]
    for head in heads:
        table.add_column(head, justify="right", no_wrap=head.startswith("Δm"))
    for row in made.table.to_dict("records"):
        share = row.get("agreement", math.nan)
        interval = " .. ".join(number(row[f"delta_m_{end}"], 2, sign=True) for end in ("low", "high"))
        regret = (number(row["regret"], 2), number(row["place"], 1)) if looked_up else ()
        table.add_row(
            Text(str(row["strategy"])),
            *((f"{row['delta_m_mean']:+.2f} ± {number(row['delta_m_std'], 2)}",) if judged else ()),
            *(regret or ((interval,) if judged else ())),
            *((f"{row['rank']:.1f}",) if judged else ()),
            "" if math.isnan(share) else f"{100 * share:.0f} %",
            f"{row['samples']:.0f}",
            f"{row['seconds']:.0f}",
            "" if math.isnan(row["memory"]) else f"{row['memory'] / 2**20:.0f}",
        )
    differ = made.tests[made.tests["p_holm"] < LEVEL]
    lines = [
        f"{row['one']} and {row['other']} differ by {row['difference']:+.2f} (p = {row['p_holm']:.3f}, Holm)"
        for row in differ.to_dict("records")
    ] or [f"No two of the {len(made.table)} strategies differ at p < 0.05 (signed-rank test, Holm's correction)."]
    if not judged:
        lines = []
    tests = int(made.tests["p"].notna().sum())
    corrected = f", at the level that Holm's correction for {tests} pairs leaves" if tests > 1 else ""
    lines += power_sentences(made.power, "Differences of two strategies on one seed vary by", corrected)
    return [table, *map(Text, lines), *_recovery_screen(made.recovery), *map(Text, made.notes)]


def _recovery_screen(found: Recovery | None) -> list[RenderableType]:
    if found is None:
        return []
    table = Table(title="Planted blocks that were found", title_justify="left", box=None, pad_edge=False)
    for head in ("strategy", "found", "share", "95 % interval", "chance"):
        table.add_column(head, justify="left" if head == "strategy" else "right")
    for row in found.table.to_dict("records"):
        blocks = f"{row['found']} of {row['of']}"
        percent = {name: f"{100 * row[name]:.0f}" for name in ("share", "low", "high", "chance")}
        interval = f"{percent['low']} .. {percent['high']} %"
        table.add_row(
            Text(str(row["condition"])), blocks, f"{percent['share']} %", interval, f"{percent['chance']} %"
        )
    differ = found.tests[found.tests["p_holm"] < LEVEL]
    lines = [
        f"{row['one']} and {row['other']} differ by {100 * row['difference']:+.0f} points of planted blocks "
        f"found (p = {row['p_holm']:.2g}, permutation test, Holm)"
        for row in differ.to_dict("records")
    ] or ["No two strategies differ in planted blocks found at p < 0.05 (permutation test, Holm's correction)."]
    return [table, *map(Text, lines)]
