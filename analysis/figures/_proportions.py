"""Fig. 7: proportions of context types, or of any options, per condition and group of choices."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.style import (
    INK,
    PAGE,
    legend_columns,
    letter_axes,
    new_figure,
    paper_style,
    text_colour,
)
from analysis.figures.words import BLOCKS, Words

__all__ = ["draw_proportions"]

LEAST_LABELLED = 0.05


def draw_proportions(table: pd.DataFrame, words: Words = BLOCKS) -> Figure:
    """Stacked bars of `analysis.genotypes.proportions`, and the shares of all choices with their intervals.

    Args:
        table: That table with a column ``condition``: what the searches of a bar have in common.
        words: Words for the space.
    """
    contexts = list(dict.fromkeys(table["context"]))
    colours, titles = words.colours(contexts), words.titles(contexts)
    shown = table[table["total"] > 0]
    bars = list(dict.fromkeys(zip(shown["condition"], shown["blocks"], strict=True)))
    conditions = list(dict.fromkeys(shown["condition"]))
    with paper_style():
        figure = new_figure(PAGE, max(0.95 + 0.29 * len(bars) + 0.2 * len(conditions), 0.95 + 0.2 * len(contexts)))
        ax, beside = figure.subplots(1, 2, width_ratios=(1.7, 1))
        places = [row + 0.45 * conditions.index(condition) for row, (condition, _) in enumerate(bars)]
        for place, (condition, blocks) in zip(places, bars, strict=True):
            rows = shown[(shown["condition"] == condition) & (shown["blocks"] == blocks)]
            left = 0.0
            for context, share in zip(rows["context"], rows["share"], strict=True):
                ax.barh(place, 100 * share, left=left, height=0.78, color=colours[context], edgecolor="white", lw=0.8)
                if share >= LEAST_LABELLED:
                    ink = text_colour(colours[context])
                    ax.text(left + 50 * share, place, f"{100 * share:.0f}", ha="center", va="center", color=ink)
                left += 100 * share
        ax.set_yticks(places, [_bar_label(condition, blocks, conditions, words) for condition, blocks in bars])
        ax.invert_yaxis()
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.set(xlim=(0, 100), xlabel=f"Share of {words.choice}s [%]")
        _intervals(beside, shown[shown["blocks"] == "all"], contexts, words)
        letter_axes((ax, beside), ("Shares", f"All {words.choice}s, 95 % over runs"))
        handles = [ax.barh([0], [0], color=colours[context], label=titles[context]) for context in contexts]
        figure.legend(
            handles=handles, loc="outside upper center", ncols=legend_columns(len(contexts)), handlelength=1
        )
    return figure


def _intervals(ax: Axes, table: pd.DataFrame, contexts: list[str], words: Words) -> None:
    """A dot per option and condition, conditions below each other in the order of the bars."""
    colours, titles = words.colours(contexts), words.titles(contexts)
    conditions = list(dict.fromkeys(table["condition"]))
    for row in table.to_dict("records"):
        place = contexts.index(row["context"]) + 0.7 * (conditions.index(row["condition"]) + 0.5) / len(conditions)
        if not math.isnan(row["low"]):
            ax.plot([100 * row["low"], 100 * row["high"]], [place, place], color=INK, lw=0.9)
        ax.plot(100 * row["share"], place, "o", ms=4.5, color=colours[row["context"]], mec=INK, mew=0.4)
    ax.set_yticks([place + 0.35 for place in range(len(contexts))], [titles[context] for context in contexts])
    ax.tick_params(axis="y", length=0)
    ax.invert_yaxis()
    ax.grid(axis="x")
    ax.set(xlim=(0, None), xlabel=f"Share of {words.choice}s [%]")


def _bar_label(condition: str, blocks: str, conditions: list[str], words: Words) -> str:
    return f"{blocks} {words.choice}s" if len(conditions) == 1 else f"{condition}: {blocks}"
