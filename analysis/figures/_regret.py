"""Regret of what strategies named, by a table that knows every genotype."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.bootstrap import bootstrap_mean
from analysis.figures.style import INK, MUTED, PAGE, kind_colours, new_figure, paper_style

__all__ = ["draw_regret"]


def draw_regret(found: pd.DataFrame, chance: float | None = None) -> Figure:
    """A row per strategy: the regret of every search, and the mean with its 95 % bootstrap interval over seeds.

    Args:
        found: ``strategy``, ``kind``, ``seed``, ``regret`` in points of Delta_m; one row per search.
        chance: Mean regret of all genotypes, drawn as a dashed line; by default the column ``chance``.
    """
    level = float(found["chance"].iloc[0]) if chance is None else chance
    means = found.groupby("strategy")["regret"].mean().sort_values()
    kinds = dict(zip(found["strategy"], found["kind"], strict=True))
    with paper_style():
        figure = new_figure(PAGE * 0.72, 1.0 + 0.24 * len(means))
        ax = figure.subplots()
        ax.axvline(level, color=MUTED, lw=0.9, ls=(0, (4, 3)), zorder=1, label="random genotype")
        for place, strategy in enumerate(means.index):
            values = found[found["strategy"] == strategy]["regret"].to_numpy(float)
            colour = kind_colours()[kinds[strategy]]
            spread = np.linspace(-0.22, 0.22, len(values))  # keeps searches of the same regret apart
            ax.plot(np.sort(values), place + spread, ".", ms=4, color=colour, alpha=0.45, mew=0)
            low, high = bootstrap_mean(values)
            ax.plot([low, high], [place, place], color=INK, lw=1.4, zorder=3)
            ax.plot(means[strategy], place, "D", ms=5, color=colour, mec=INK, mew=0.6, zorder=4)
        ax.set_yticks(range(len(means)), [str(name) for name in means.index])
        ax.tick_params(axis="y", length=0)
        ax.set(ylim=(len(means) - 0.4, -0.6), xlabel=r"Regret [points of $\Delta_m$], ← better")
        ax.set_xlim(left=min(-1.0, -0.02 * float(found["regret"].max())))
        ax.grid(axis="x")
        figure.legend(loc="outside upper right")
    return figure
