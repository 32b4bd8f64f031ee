"""Regret of strategies that looked genotypes up, against the budget."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.style import MUTED, PAGE, kind_colours, new_figure, paper_style

__all__ = ["draw_lookup"]

COLUMNS = 4
REFERENCE = "random"
"""Strategy that is drawn in every panel, if it is there."""


def draw_lookup(curves: pd.DataFrame, strategies: Sequence[str], chance: float) -> Figure:
    """One panel per strategy: mean regret with its 95 % interval; random search in grey.

    Args:
        curves: Table of `analysis.lookups.lookup_curves`.
        strategies: The strategies, in the order of the panels.
        chance: Regret of a random genotype, a dashed line.
    """
    columns = min(COLUMNS, len(strategies))
    rows = -(-len(strategies) // columns)
    colour = kind_colours()["multi-trial"]
    with paper_style():
        figure = new_figure(PAGE, 0.8 + 1.15 * rows)
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        reference = curves[curves["strategy"] == REFERENCE]
        for ax, strategy in zip(axes.flat, strategies, strict=False):
            of = curves[curves["strategy"] == strategy]
            ax.axhline(chance, color=MUTED, lw=0.9, ls=(0, (4, 3)), zorder=1)
            if strategy != REFERENCE:
                ax.plot(reference["trainings"], reference["regret"], color=MUTED, lw=1.0, alpha=0.8, zorder=2)
            ax.fill_between(of["trainings"], of["low"], of["high"], color=colour, alpha=0.2, lw=0)
            ax.plot(of["trainings"], of["regret"], color=colour, lw=1.4, zorder=3)
            ax.set_title(strategy.replace("_", " "), size=7.5)
            ax.grid(axis="y")
        for ax in axes.flat[len(strategies) :]:
            ax.set_visible(False)
        axes[0, 0].set_ylim(bottom=0)
        figure.supxlabel("images used, in full trainings", size=8.5)
        figure.supylabel("regret [points], lower is better", size=8.5)
        figure.suptitle(
            "mean over searches, 95 % bootstrap interval; grey: random search; dashed: a random genotype", size=8
        )
    return figure
