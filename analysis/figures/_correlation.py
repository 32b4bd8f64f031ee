"""Two quantities of the same things against each other, with their correlation."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.style import COLUMN, INK, MUTED, new_figure, paper_style

__all__ = ["draw_correlation"]


def draw_correlation(x: pd.Series, y: pd.Series, correlation: pd.DataFrame, labels: tuple[str, str]) -> Figure:
    """A dot per thing, and the straight line of least squares.

    Args:
        x: One quantity.
        y: The other one.
        correlation: Table of `analysis.correlation.correlate` for the two.
        labels: Labels of the axes.
    """
    with paper_style():
        figure = new_figure(COLUMN, 2.9)
        ax = figure.subplots()
        ax.scatter(x, y, s=18, color="#0072B2", alpha=0.75, lw=0)
        if x.nunique() > 1:
            slope, offset = np.polyfit(x, y, 1)
            ends = np.array([x.min(), x.max()])
            ax.plot(ends, slope * ends + offset, color=MUTED, lw=1, ls=(0, (4, 3)))
        lines = [_described(row) for row in correlation.to_dict("records")]
        ax.set_title("\n".join(lines), size=7.5, weight="normal", color=INK)
        ax.locator_params(axis="x", nbins=5)  # labels of three decimals would touch
        ax.grid()
        ax.set(xlabel=labels[0], ylabel=labels[1])
    return figure


def _described(row: Mapping[Hashable, Any]) -> str:
    name = str(row["coefficient"]).capitalize()
    if math.isnan(row["value"]):
        return f"{name}: undefined (n = {row['n']})"
    interval = "" if math.isnan(row["low"]) else f" [{row['low']:+.2f}, {row['high']:+.2f}]"
    return f"{name} {row['value']:+.2f}{interval}, n = {row['n']}".replace("-", "−")
