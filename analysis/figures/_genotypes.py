"""The genotype of every run as a matrix of tiles."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from analysis.figures.style import (
    context_colours,
    context_titles,
    legend_columns,
    new_figure,
    paper_style,
    short_labels,
    shown,
    text_colour,
)

__all__ = ["draw_genotypes"]

PER_ROW = 4
"""Most panels side by side."""
WIDE = 4.8
"""Width in inches from which on a legend of five contexts fits into one row."""
TILE = 0.29


def draw_genotypes(table: pd.DataFrame, contexts: Sequence[str]) -> Figure:
    """One panel per run, targets in rows and sources in columns; of many runs the first ones, and the last one.

    Args:
        table: Table of `analysis.genotypes.matrices`.
        contexts: All context types of the space, for the legend.
    """
    found = list(dict.fromkeys(table["run"]))
    runs = shown(found)
    tasks = list(dict.fromkeys(table["target"]))
    colours, titles, short = context_colours(contexts), context_titles(contexts), short_labels(contexts)
    columns = _columns(len(runs))
    lines = -(-len(runs) // columns)
    with paper_style():
        side = TILE * len(tasks)
        width = max(3.6, 0.95 + columns * (side + 0.22))
        figure = new_figure(width, 1.15 + lines * (side + 0.27))
        axes = figure.subplots(lines, columns, squeeze=False)
        for index, ax in enumerate(axes.flat):
            if index >= len(runs):
                ax.set_axis_off()
                continue
            rows = table[table["run"] == runs[index]]
            for target, source, context in zip(rows["target"], rows["source"], rows["context"], strict=True):
                _tile(ax, tasks.index(source), tasks.index(target), colours[context], short[context])
            ax.set_title(runs[index], weight="normal", loc="center")
            last = index + columns >= len(runs)
            _frame(ax, [task.replace("_", " ") for task in tasks], left=index % columns == 0, bottom=last)
        left_out = "" if len(runs) == len(found) else f" ({len(runs)} of {len(found)} matrices)"
        figure.supxlabel(f"Source task{left_out}", size=8)
        figure.supylabel("Target task", size=8)
        handles = [Patch(facecolor=colours[c], label=f"{short[c]}  {titles[c]}") for c in contexts]
        figure.legend(
            handles=handles,
            loc="outside upper center",
            ncols=legend_columns(len(contexts), 3 if width < WIDE else 6),
            handlelength=1,
        )
    return figure


def _columns(panels: int) -> int:
    """As many panels in a row as fit, fewer where that fills the last row better."""
    widest = min(PER_ROW, panels)
    return min(range(max(1, widest - 1), widest + 1), key=lambda columns: (-panels % columns, -columns))


def _tile(ax: Axes, column: int, row: int, colour: str, label: str) -> None:
    ax.add_patch(Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, facecolor=colour, linewidth=0))
    ax.text(column, row, label, ha="center", va="center_baseline", size=7, color=text_colour(colour))


def _frame(ax: Axes, titles: Sequence[str], *, left: bool, bottom: bool) -> None:
    n = len(titles)
    ax.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5), aspect="equal")
    ax.set_xticks(range(n), titles if bottom else [""] * n, rotation=40, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(n), titles if left else [""] * n)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
