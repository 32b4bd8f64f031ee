"""Training loss over steps: multi-task models in one panel, single-task models in another."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from analysis.figures.style import PAGE, legend_columns, letter_axes, model_colours, new_figure, paper_style
from analysis.load import SINGLE

__all__ = ["draw_curves"]


def draw_curves(table: pd.DataFrame) -> Figure:
    """Mean over seeds as a line, the range from the smallest to the largest seed as a band, on a log scale.

    Args:
        table: Table of `analysis.trajectory.training_curves`, with at least one row.
    """
    single = table["model"].str.startswith(SINGLE)
    panels = [
        (title, rows)
        for title, rows in (("Multi-task models", table[~single]), ("Single-task models", table[single]))
        if not rows.empty
    ]
    with paper_style():
        figure = new_figure(PAGE if len(panels) > 1 else PAGE * 0.6, 2.9)
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for ax, (_, rows) in zip(axes, panels, strict=True):
            _panel(ax, rows)
        axes[0].set_ylabel("Training loss (log scale)")
        if len(panels) > 1:
            letter_axes(axes, [title for title, _ in panels])
    return figure


def _panel(ax: Axes, table: pd.DataFrame) -> None:
    models = list(dict.fromkeys(table["model"]))
    colours = model_colours([model.removeprefix(SINGLE) for model in models])
    for model in models:
        name = model.removeprefix(SINGLE)
        by_step = table[table["model"] == model].groupby("step")["loss"]
        mean, low, high = by_step.mean(), by_step.min(), by_step.max()
        ax.fill_between(mean.index, low, high, color=colours[name], alpha=0.18, lw=0)
        marker = "o" if len(mean) == 1 else ""  # a line through one point cannot be seen
        ax.plot(mean.index, mean, color=colours[name], lw=1.1, marker=marker, ms=3, label=name)
    ax.set(yscale="log", xlabel="Training step")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7)))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.grid(axis="y")
    ax.set_xlim(0, 1.01 * table["step"].max())
    ax.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.2),
        ncols=legend_columns(len(models), 4),
        handlelength=1.2,
        columnspacing=1,
    )
