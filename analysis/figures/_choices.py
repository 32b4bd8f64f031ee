"""The genotype of every run as a column of tiles, for a space of any kind."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from analysis.figures.style import PAGE, legend_columns, new_figure, paper_style, shown, text_colour
from analysis.figures.words import CHOICES, Words

__all__ = ["draw_choices"]

TILE = 0.29
"""Side of a tile, in inches."""


def draw_choices(table: pd.DataFrame, options: Sequence[str], words: Words = CHOICES) -> Figure:
    """A row of tiles per choice, a column per run; of many runs the first ones, and the last one.

    Args:
        table: Table of `analysis.genotypes.listing`.
        options: All options of the space, for the legend.
        words: Words for the space.
    """
    found = list(dict.fromkeys(table["run"]))
    runs, choices = shown(found), list(dict.fromkeys(table["choice"]))
    colours, titles, letters = words.colours(options), words.titles(options), words.letters(options)
    with paper_style():
        figure = new_figure(max(3.6, min(PAGE, 1.6 + TILE * len(runs))), 1.3 + TILE * len(choices))
        ax = figure.subplots()
        for run, choice, option in table[["run", "choice", "option"]].itertuples(index=False):
            if run in runs:
                column, row = runs.index(run), choices.index(choice)
                tile = Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, facecolor=colours[option], linewidth=0)
                ax.add_patch(tile)
                ink = text_colour(colours[option])
                ax.text(column, row, letters[option], ha="center", va="center_baseline", size=7, color=ink)
        ax.set(xlim=(-0.5, len(runs) - 0.5), ylim=(len(choices) - 0.5, -0.5), aspect="equal")
        ax.set_xticks(range(len(runs)), runs, rotation=60, ha="right", rotation_mode="anchor", size=6.5)
        ax.set_yticks(range(len(choices)), [words.title(choice) for choice in choices], size=6.5)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        if len(runs) < len(found):
            ax.set_xlabel(f"{len(runs)} of {len(found)} genotypes")
        handles = [Patch(facecolor=colours[one], label=f"{letters[one]}  {titles[one]}") for one in options]
        columns = legend_columns(len(options), 3 if len(runs) < 8 else 6)
        figure.legend(handles=handles, loc="outside upper center", ncols=columns, handlelength=1, title=words.legend)
    return figure
