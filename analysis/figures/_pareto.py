"""Score against cost of all trials, and the Pareto front of every strategy."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.style import MOST_PATHS, PAGE, model_colours, new_figure, paper_style
from analysis.pareto import pareto_front

__all__ = ["draw_pareto"]


def draw_pareto(outcomes: pd.DataFrame, unit: str) -> Figure:
    """A dot per trial, a staircase per strategy over the trials of all its seeds.

    Args:
        outcomes: ``strategy``, ``score``, ``cost``.
        unit: Unit of the cost.
    """
    labels = [str(label) for label in dict.fromkeys(outcomes["strategy"])]
    colours = model_colours(labels)
    with paper_style():
        figure = new_figure(PAGE * 0.68, 3.0)
        ax = figure.subplots()
        for label in labels:
            of = outcomes[outcomes["strategy"] == label]
            many = len(outcomes) > MOST_PATHS
            ax.scatter(of["cost"], of["score"], s=9, color=colours[label], alpha=0.45, lw=0, rasterized=many)
            front = pareto_front(zip(of["score"], of["cost"], strict=True))
            steps = [*front, (front[-1][0], float(outcomes["cost"].max()))]
            ax.step(
                [cost for _, cost in steps], [score for score, _ in steps], where="post",
                color=colours[label], lw=1.3, label=label.removeprefix("search-"),
            )  # fmt: skip
        ax.grid()
        ax.set_xlabel(f"cost of the contexts [{unit}], ← better")
        ax.set_ylabel("score of a trial, ↑ better")
        figure.legend(loc="outside right center")
    return figure
