"""Steps at which the choices of searches stopped sampling, and the options that they stopped at."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.style import (
    INK,
    MANY,
    PAGE,
    legend_columns,
    new_figure,
    paper_style,
)
from analysis.figures.words import BLOCKS, Words

__all__ = ["draw_freezing"]


def draw_freezing(table: pd.DataFrame, words: Words = BLOCKS) -> Figure:
    """A row per choice, the earliest first; a dot per search at the step of its freezing.

    Args:
        table: Table of `analysis.trajectory.freeze_times`; choices that never froze are hollow, at the end.
        words: Words for the space.
    """
    order = table.groupby("block")["step"].mean().sort_values().index
    places = {block: place for place, block in enumerate(order)}
    options = list(dict.fromkeys(table["context"]))
    colours, titles = words.colours(options), words.titles(options)
    runs = list(dict.fromkeys(table["run"]))
    # the searches of a choice lie side by side, since many freeze at the same logged step
    apart = {run: 0.5 * (place - (len(runs) - 1) / 2) / len(runs) for place, run in enumerate(runs)}
    height = table["block"].map(places) + table["run"].map(apart)
    with paper_style():
        figure = new_figure(PAGE * 0.68, 0.9 + 0.22 * len(order))
        ax = figure.subplots()
        for option, rows in table.groupby("context", sort=False):
            for frozen, of in rows.groupby("frozen"):
                face = colours[str(option)] if frozen else "white"
                edge = colours[str(option)]
                ax.scatter(
                    of["step"], height[of.index], s=17, color=face, edgecolor=edge, rasterized=len(runs) > MANY
                )
        ax.set_yticks(range(len(order)), [words.title(str(choice)) for choice in order])
        ax.invert_yaxis()
        ax.grid(axis="x")
        ax.set_xlim(0, table["step"].max() * 1.03)
        ax.tick_params(axis="y", length=0, labelsize=6.5)
        ax.set_xlabel(f"Search step at which a {words.choice} stopped sampling")
        keys = [Line2D([], [], marker="o", lw=0, color=colours[option], label=titles[option]) for option in options]
        if not table["frozen"].all():
            keys.append(Line2D([], [], marker="o", lw=0, mfc="white", mec=INK, label="still sampling at the end"))
        columns = legend_columns(len(keys), 4)  # the figure is narrow
        figure.legend(handles=keys, loc="outside upper center", ncols=columns, handlelength=1, title=words.legend)
    return figure
