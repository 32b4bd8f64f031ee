"""How often searches agree, block by block (Sec. 4.4)."""

from __future__ import annotations

import math

import seaborn as sns
from matplotlib.figure import Figure

from analysis.agreement import Agreement
from analysis.figures.style import new_figure, paper_style

__all__ = ["draw_agreement"]


def draw_agreement(agreement: Agreement) -> Figure:
    """Heat map, targets in rows and sources in columns, each tile with its percentage of agreeing run pairs."""
    titles = [task.replace("_", " ") for task in agreement.blocks.index]
    side = 0.52 * len(titles)
    with paper_style():
        figure = new_figure(max(3.1, side + 1.75), max(2.4, side + 1.25))
        ax = figure.subplots()
        sns.heatmap(
            100 * agreement.blocks,
            ax=ax,
            vmin=0,
            vmax=100,
            cmap="Blues",
            annot=True,
            fmt=".0f",
            square=True,
            linewidths=1.2,
            linecolor="white",
            xticklabels=titles,
            yticklabels=titles,
            cbar_kws={"label": "Run pairs that agree [%]", "shrink": 0.85, "ticks": [0, 25, 50, 75, 100]},
        )
        kappa = "undefined" if math.isnan(agreement.kappa) else f"{agreement.kappa:.2f}"
        ax.set_title(f"Mean {100 * agreement.mean:.0f} %, Fleiss' κ {kappa} ({agreement.runs} runs)", pad=8)
        ax.set(xlabel="Source task", ylabel="Target task")
        ax.tick_params(length=0)
        ax.set_xticks(ax.get_xticks(), titles, rotation=35, ha="right", rotation_mode="anchor")
        ax.set_yticks(ax.get_yticks(), titles, rotation=0)
        ax.figure.axes[-1].tick_params(length=2)
    return figure
