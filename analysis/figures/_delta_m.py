"""Delta_m of every model, with a dot for each run."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.style import INK, MUTED, PAGE, model_colours, new_figure, paper_style
from analysis.multitask import spread

__all__ = ["draw_delta_m"]

LABELS = {"search": "search (sampled)"}


def draw_delta_m(table: pd.DataFrame) -> Figure:
    """Mean and one standard deviation over runs of each model, beside the runs themselves.

    Args:
        table: ``model``, ``seed``, ``delta_m`` in percent; one experiment, no missing values.
    """
    models = list(dict.fromkeys(table["model"]))
    colours = model_colours(models)
    with paper_style():
        figure = new_figure(PAGE * 0.68, 1.05 + 0.33 * len(models))
        ax = figure.subplots()
        for row, model in enumerate(models):
            values = table[table["model"] == model]["delta_m"].to_numpy(float)
            mean, std, n = spread(values)
            if n > 1:
                ax.errorbar(mean, row, xerr=std, ecolor=INK, elinewidth=1, capsize=2.5, zorder=2)
            ax.plot(mean, row, "D", color=colours[model], mec=INK, mew=0.6, ms=5.5, zorder=4)
            # a little below the mean, so that dots and error bar stay apart
            ax.scatter(values, [row + 0.27] * n, s=11, color=colours[model], alpha=0.75, lw=0, zorder=3)
            ax.annotate(
                f"{mean:+.2f}".replace("-", "−") + (" ± –" if n < 2 else f" ± {std:.2f}"),
                (1.01, row),
                xycoords=("axes fraction", "data"),
                va="center",
                size=7.5,
            )
        ax.axvline(0, color=MUTED, lw=0.9, ls=(0, (4, 3)))
        ax.grid(axis="x")
        ax.margins(x=0.06)
        ax.set_yticks(range(len(models)), [LABELS.get(model, model) for model in models])
        ax.set_ylim(len(models) - 0.4, -0.6)
        ax.tick_params(axis="y", length=0)
        ax.set_xlabel(r"Multi-task performance $\Delta_m$ [%] (0: single-task models), → better")
        handles = [
            Line2D([], [], marker="D", color=INK, mfc="white", ms=5, lw=1, label="mean ± std over runs"),
            Line2D([], [], marker="o", color=INK, ms=3.2, lw=0, label="one run"),
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure
