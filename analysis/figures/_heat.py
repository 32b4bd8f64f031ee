"""A heat map of blocks: target tasks in rows, source tasks in columns."""

from __future__ import annotations

from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.style import new_figure

__all__ = ["draw_heat"]


def draw_heat(values: pd.DataFrame, label: str, **options: Any) -> tuple[Figure, Axes]:
    """Draws the map on a new figure, under the style in force.

    Args:
        values: Rows and columns named by tasks; missing ones are left grey.
        label: Label of the colour bar.
        options: Options of ``seaborn.heatmap``.
    """
    titles = [[str(task).replace("_", " ") for task in names] for names in (values.index, values.columns)]
    side = 0.52 * len(values)
    figure = new_figure(max(3.1, side + 1.75), max(2.4, side + 1.25))
    ax = figure.subplots()
    bar = {"label": label, "shrink": 0.85, **options.pop("cbar_kws", {})}
    sns.heatmap(values, ax=ax, square=True, linewidths=1.2, linecolor="white", cbar_kws=bar, **options)
    ax.set_facecolor("#EFEFEF")
    ax.set(xlabel="Source task", ylabel="Target task")
    ax.tick_params(length=0)
    ax.set_xticks(ax.get_xticks(), titles[1], rotation=35, ha="right", rotation_mode="anchor")
    ax.set_yticks(ax.get_yticks(), titles[0], rotation=0)
    figure.axes[-1].tick_params(length=2)
    return figure, ax
