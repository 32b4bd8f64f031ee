"""Training loss over steps: multi-task models in one panel, single-task models in another."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.style import PAGE, letter_axes, model_colours, new_figure, paper_style
from analysis.load import SINGLE, model_rank

__all__ = ["draw_curves"]


def draw_curves(table: pd.DataFrame) -> Figure:
    """Mean over seeds as a line, the range from the smallest to the largest seed as a band, on a log scale.

    Args:
        table: What `analysis.trajectory.training_curves` returns; at least one row.
    """
    single = table["model"].str.startswith(SINGLE)
    panels = [
        (title, rows)
        for title, rows in (("Multi-task models", table[~single]), ("Single-task models", table[single]))
        if not rows.empty
    ]
    with paper_style():
        figure = new_figure(PAGE if len(panels) > 1 else PAGE * 0.6, 2.6)
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for ax, (_, rows) in zip(axes, panels, strict=True):
            _panel(ax, rows)
        axes[0].set_ylabel("Training loss (log scale)")
        if len(panels) > 1:
            letter_axes(axes, [title for title, _ in panels])
    return figure


def _panel(ax: Axes, table: pd.DataFrame) -> None:
    models = sorted(set(table["model"]), key=model_rank)
    colours = model_colours([model.removeprefix(SINGLE) for model in models])
    for model in models:
        name = model.removeprefix(SINGLE)
        by_step = table[table["model"] == model].groupby("step")["loss"]
        mean, low, high = by_step.mean(), by_step.min(), by_step.max()
        ax.fill_between(mean.index, low, high, color=colours[name], alpha=0.18, lw=0)
        ax.plot(mean.index, mean, color=colours[name], lw=1.1, label=name)
    ax.set(yscale="log", xlabel="Training step")
    ax.grid(axis="y", which="both")
    ax.margins(x=0.01)
    ax.legend(ncols=2, handlelength=1.2, columnspacing=1)
