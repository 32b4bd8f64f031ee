"""The summary of a set of runs, or of a comparison of strategies, for a terminal, as rich renderables.

All text from runs (names, paths) goes through `rich.text.Text`, which reads no markup in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from analysis.agreement import agreement
from analysis.comparison import answers, compare
from analysis.figures.style import MANY, context_colours, context_titles, short_labels, text_colour
from analysis.genotypes import context_space, with_consensus
from analysis.load import Runs
from analysis.multitask import marked, marks_explained, summarize
from analysis.notes import notes
from analysis.numbers import DASH, decimals, number, plus_minus
from analysis.power import POWER_OF, power_of_runs, power_sentences
from analysis.recovery import (
    found_by_searches,
    importance_sentences,
    important_blocks,
    recovery,
    recovery_sentences,
    with_planted,
)
from analysis.significance import LEVEL
from analysis.spaces import space_found
from analysis.strategies import Recovery, StrategyComparison
from analysis.trees import same_trees, tree_agreement
from searchspace import BMTASSpace, CPSpace, Genotype, block

__all__ = ["comparison_screen", "summary"]


def summary(runs: Runs, *, paired: bool = False) -> list[RenderableType]:
    """Tables, answers and genotypes of every experiment, then the notes on what is missing.

    An experiment's part: metrics and Delta_m per model, the multi-task baseline against the retrained network, and
    what its searches found, with their agreement.

    Args:
        runs: From `analysis.load.load_runs`.
        paired: See `analysis.multitask`.

    Returns:
        What ``rich.console.Console.print`` takes, one after the other.
    """
    parts: list[RenderableType] = []
    table = summarize(runs, paired=paired)
    comparisons = compare(runs, paired=paired)
    for experiment in runs.experiments:
        rows = table[table["experiment"] == experiment]
        parts += [_performance(rows, runs, experiment), _cost(rows)]
        sentences = answers(comparisons, experiment)
        if sentences:
            parts.append(_section("Does the retrained network beat the multi-task baseline?", sentences))
        if told := power_sentences(power_of_runs(runs, experiment, paired=paired), POWER_OF):
            parts.append(_section("What could these seeds tell?", told))
        space = space_found(runs, experiment)
        if isinstance(space, CPSpace):
            if known := found_by_searches(runs, experiments=[experiment]):
                said = recovery_sentences(recovery(known)) + importance_sentences(important_blocks(runs, experiment))
                parts.append(_section("What was found of what was planted?", said))
            found = runs.found(experiment)
            shown = with_planted(runs, experiment, found)
            parts += _genotypes(found, shown, with_consensus(runs, experiment).get("consensus"))
        if isinstance(space, BMTASSpace):
            parts += _trees(runs.found(experiment), space)
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


def _genotypes(
    found: dict[str, Genotype], shown: dict[str, Genotype], consensus: Genotype | None
) -> list[RenderableType]:
    genotypes = list(found.values())
    contexts = context_space(genotypes).contexts
    titles, short = context_titles(contexts), short_labels(contexts)
    legend = ", ".join(f"{short[context]} {titles[context]}" for context in contexts)
    parts: list[RenderableType] = [Text(f"\nGenotypes (rows: target, columns: source; {legend})", style="bold")]
    panels = [_matrix(run, genotype) for run, genotype in list(shown.items())[:MANY]]
    if consensus is not None:
        panels.append(_matrix("consensus", consensus))
    parts.append(Columns(panels, padding=(0, 3)))
    if len(shown) > MANY:
        parts.append(Text(f"and {len(shown) - MANY} more, which genotypes.csv of the analysis holds"))
    if len(genotypes) > 1:
        result = agreement(genotypes)
        kappa = DASH if math.isnan(result.kappa) else f"{result.kappa:.2f}"
        parts.append(
            Text(
                f"Agreement of {result.runs} searches: {100 * result.mean:.0f} % of run pairs pick the same context "
                f"(mean over blocks); beyond chance, Fleiss' kappa {kappa}"
            )
        )
    return parts


def _matrix(title: str, genotype: Genotype) -> Table:
    space = context_space([genotype])
    short, colours = short_labels(space.contexts), context_colours(space.contexts)
    table = Table(
        title=Text(title), box=None, padding=(0, 0), show_header=False, title_justify="left", min_width=len(title)
    )
    for target in space.tasks:
        cells = []
        for source in space.tasks:
            context = genotype[block(target, source)]
            style = f"{text_colour(colours[context])} on {colours[context]}"
            cells.append(Text(f" {short[context]:^2}", style=style))
        table.add_row(Text(f"{target.replace('_', ' ')} "), *cells)
    return table


def _trees(found: dict[str, Genotype], space: BMTASSpace) -> list[RenderableType]:
    """Every different tree, with the searches that found it."""
    parts: list[RenderableType] = [Text("\nTrees (which tasks share which stages of the backbone)", style="bold")]
    grown = same_trees(found)
    parts.append(Columns([_tree(runs, space.tree(found[runs[0]])) for runs in grown[:MANY]], padding=(0, 3)))
    if len(grown) > MANY:
        parts.append(Text(f"and {len(grown) - MANY} more, which trees.csv of the analysis holds"))
    if len(found) > 1:
        result = tree_agreement(list(found.values()))
        share = DASH if math.isnan(result.mean) else f"{100 * result.mean:.0f} %"
        different = "one tree" if result.distinct == 1 else f"{result.distinct} different trees"
        parts.append(
            Text(
                f"Agreement of {result.runs} searches, {different}: {share} of task pairs and stages are alike in "
                "two of them (shared in both trees, or in neither)"
            )
        )
    return parts


def _tree(runs: Sequence[str], stages: Sequence[Sequence[Sequence[str]]]) -> Tree:
    nodes = f"{sum(map(len, stages))} of {len(stages) * sum(map(len, stages[0]))} nodes"
    drawn = Tree(Text(f"{', '.join(runs)}: {nodes}"), guide_style="dim")
    _grow(drawn, stages, 0, stages[0])
    return drawn


def _grow(tree: Tree, stages: Sequence[Sequence[Sequence[str]]], stage: int, groups: Sequence[Sequence[str]]) -> None:
    """Adds a line for each group of tasks, over all stages that they share, and below it what they part into."""
    for group in groups:
        until = stage
        while until + 1 < len(stages) and group in stages[until + 1]:
            until += 1
        numbers = f"stage {stage + 1}" if until == stage else f"stages {stage + 1}-{until + 1}"
        line = tree.add(Text(f"{numbers}: {', '.join(task.replace('_', ' ') for task in group)}"))
        if until + 1 < len(stages):
            _grow(line, stages, until + 1, [part for part in stages[until + 1] if set(part) <= set(group)])


def comparison_screen(made: StrategyComparison) -> list[RenderableType]:
    """The table for a terminal, then the pairs that differ and the notes."""
    table = Table(box=None, pad_edge=False)
    table.add_column("strategy", no_wrap=True)
    for head in ("Δm, %", "95 % interval", "mean rank", "agreement", "images", "s", "peak MiB"):
        table.add_column(head, justify="right", no_wrap=head.startswith("Δm"))
    for row in made.table.to_dict("records"):
        share = row.get("agreement", math.nan)
        table.add_row(
            Text(str(row["strategy"])),
            f"{row['delta_m_mean']:+.2f} ± {number(row['delta_m_std'], 2)}",
            " .. ".join(number(row[f"delta_m_{end}"], 2, sign=True) for end in ("low", "high")),
            f"{row['rank']:.1f}",
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
    tests = int(made.tests["p"].notna().sum())
    corrected = f", at the level that {tests} pairs leave" if tests > 1 else ""
    lines += power_sentences(made.power, "Differences of two strategies on one seed vary by", corrected)
    return [table, *map(Text, lines), *_recovery_screen(made.recovery), *map(Text, made.notes)]


def _recovery_screen(found: Recovery | None) -> list[RenderableType]:
    if found is None:
        return []
    table = Table(title="Of the planted blocks", title_justify="left", box=None, pad_edge=False)
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
        f"{row['one']} and {row['other']} differ by {100 * row['difference']:+.0f} points of what they find "
        f"(p = {row['p_holm']:.2g}, permutation test, Holm)"
        for row in differ.to_dict("records")
    ] or ["No two strategies differ in what they find at p < 0.05 (permutation test, Holm's correction)."]
    return [table, *map(Text, lines)]
