"""Fig. 4: sampled from the supergraph against retrained, task by task."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.style import COLUMN, INK, model_colours, new_figure, paper_style
from analysis.load import TaskInfo

__all__ = ["draw_sampled"]

LABELS = {"search": "sampled from the supergraph", "retrain": "retrained from scratch"}


def draw_sampled(table: pd.DataFrame, tasks: Mapping[str, TaskInfo]) -> Figure:
    """Grouped bars with error bars of one standard deviation over runs.

    Args:
        table: One experiment's part of `analysis.sampled.sampled_against_retrained`.
        tasks: Tasks by name, for the labels below the bars.
    """
    models = list(dict.fromkeys(table["model"]))
    names = [name for name in tasks if name in set(table["task"])]
    colours = model_colours(models)
    width = 0.78 / len(models)
    with paper_style():
        figure = new_figure(max(COLUMN, 0.9 + 0.75 * len(names)), 2.75)
        ax = figure.subplots()
        for index, model in enumerate(models):
            rows = table[table["model"] == model].set_index("task").reindex(names)
            places = [place + (index - (len(models) - 1) / 2) * width for place in range(len(names))]
            ax.bar(
                places,
                rows["mean"],
                width * 0.94,
                yerr=rows["std"],  # missing for one run: no error bar
                color=colours[model],
                label=f"{LABELS.get(model, model)} (n = {rows['n'].max():.0f})",
                error_kw={"ecolor": INK, "elinewidth": 0.9, "capsize": 2.2, "capthick": 0.9},
            )
        ax.axhline(0, color=INK, lw=0.7)
        ax.grid(axis="y")
        ax.set_xticks(range(len(names)), [f"{tasks[name].title}\n({tasks[name].metric})" for name in names])
        ax.tick_params(axis="x", length=0)
        ax.spines["bottom"].set_visible(False)
        ax.set_ylabel("Improvement over\nsingle task [%], ↑ better")
        figure.legend(loc="outside upper left", ncols=1, handlelength=1)
    return figure
