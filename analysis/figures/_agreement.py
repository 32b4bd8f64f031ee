"""How often searches agree, choice by choice (Sec. 4.4)."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.agreement import Agreement
from analysis.figures._heat import draw_heat
from analysis.figures.style import INK, PAGE, new_figure, paper_style
from analysis.figures.words import BLOCKS, Words

__all__ = ["draw_agreement"]


def draw_agreement(agreement: Agreement, words: Words = BLOCKS) -> Figure:
    """Percentage of run pairs that agree, choice by choice.

    Blocks are tiles of a heat map, targets in rows and sources in columns. Choices of another space are dots, one a
    row in the space's order, with their 95 % intervals over runs.

    Args:
        agreement: The agreement of several searches.
        words: Words for the space.
    """
    label = "Run pairs that agree [%]"
    with paper_style():
        if agreement.blocks.empty:
            figure = new_figure(PAGE * 0.68, 0.9 + 0.22 * len(agreement.table))
            ax = figure.subplots()
            _dots(ax, agreement.table, words)
            ax.set_xlabel(label)
        else:
            figure, ax = draw_heat(
                100 * agreement.blocks,
                label,
                vmin=0,
                vmax=100,
                cmap="Blues",
                annot=True,
                fmt=".0f",
                cbar_kws={"ticks": [0, 25, 50, 75, 100]},
            )
        kappa = "undefined" if math.isnan(agreement.kappa) else f"{agreement.kappa:.2f}"
        ax.set_title(f"Mean {100 * agreement.mean:.0f} %, Fleiss' κ {kappa} ({agreement.runs} runs)", pad=8)
    return figure


def _dots(ax: Axes, table: pd.DataFrame, words: Words) -> None:
    """A dot per choice, and its interval where there is one."""
    places = np.arange(len(table))
    ax.hlines(places, 100 * table["low"], 100 * table["high"], color=INK, lw=0.9)
    ax.plot(100 * table["agreement"], places, "o", ms=4.5, color=INK, clip_on=False)
    ax.set_yticks(places, [words.title(str(choice)) for choice in table["choice"]])
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    ax.set(xlim=(0, 100), ylim=(len(table) - 0.5, -0.5))
