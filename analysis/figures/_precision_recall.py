"""Precision against recall of a boundary detector, over lines of equal F."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.style import COLUMN, INK, MUTED, new_figure, paper_style

__all__ = ["draw_precision_recall"]

_COLOUR = "#0072B2"


def draw_precision_recall(curve: pd.DataFrame) -> Figure:
    """The curve of a data set; a dot marks the threshold that is best for all of it (ODS).

    Args:
        curve: A row per threshold: threshold, precision, recall, f, all in 0..1. Rows where nothing is matched are
            left out.
    """
    matched = curve[curve["f"] > 0].sort_values("threshold")
    with paper_style():
        figure = new_figure(COLUMN, COLUMN)
        ax = figure.subplots()
        _draw_equal_f(ax)
        ax.plot(matched["recall"], matched["precision"], color=_COLOUR)
        if len(matched):
            best = matched.iloc[int(matched["f"].argmax())]
            label = f"ODS-F {100 * best['f']:.2f} at {best['threshold']:.4g}"
            ax.plot(best["recall"], best["precision"], "o", color=_COLOUR, ms=4.5, label=label)
            ax.legend(loc="lower left", labelcolor=INK)
        ax.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1), aspect="equal")
    return figure


def _draw_equal_f(ax: Axes) -> None:
    """Lines of F = 0.1 .. 0.9, named where they leave the axes."""
    for f in np.arange(1, 10) / 10:
        recall = np.geomspace(f / (2 - f), 1, 100)  # precision is 1 at the start
        ax.plot(recall, f * recall / (2 * recall - f), color="#DDDDDD", lw=0.6, zorder=0)
        ax.annotate(
            f"{f:.1f}", (1, f / (2 - f)), xytext=(2, 0), textcoords="offset points", va="center",
            color=MUTED, fontsize=6.5, annotation_clip=False,
        )  # fmt: skip
