"""How a search went: entropy, schedules, the leading candidate of every block, freezing."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.style import (
    INK,
    PAGE,
    context_colours,
    context_titles,
    letter_axes,
    new_figure,
    paper_style,
)

__all__ = ["draw_trajectory"]

# Runs differ by line style, so that colour stays free for contexts.
_STYLES = ("-", (0, (5, 1.6)), (0, (1.2, 1.2)), (0, (5, 1.4, 1.2, 1.4)), (0, (3, 3)))


def draw_trajectory(trajectory: pd.DataFrame, blocks: pd.DataFrame) -> Figure:
    """Four panels over the steps of one experiment's searches.

    Args:
        trajectory: What `analysis.trajectory.search_trajectory` returns.
        blocks: What `analysis.trajectory.block_probabilities` returns.
    """
    contexts = list(dict.fromkeys(blocks["final"]))
    colours, titles = context_colours(sorted(contexts)), context_titles(contexts)
    with paper_style():
        figure = new_figure(PAGE, 4.3)
        axes = figure.subplots(2, 2, sharex=True)
        (entropy, schedule), (leader, frozen) = axes
        _lines(entropy, trajectory, "entropy", 1)
        entropy.set(ylabel="Mean entropy of a block [nat]", ylim=(0, None))
        _schedules(schedule, trajectory)
        for _, lines in blocks.groupby(["run", "block"], sort=False):
            colour = colours[lines["final"].iloc[-1]]
            leader.plot(lines["step"], lines["probability"], color=colour, lw=0.8, alpha=0.75)
        leader.set(ylabel="Largest probability", ylim=(0, 1.02), xlabel="Search step")
        handles = [
            Line2D([], [], color=colours[context], lw=2, label=titles[context]) for context in sorted(contexts)
        ]
        leader.legend(handles=handles, loc="upper left", ncols=2, handlelength=1.2, columnspacing=1)
        _lines(frozen, trajectory, "frozen", 100)
        frozen.set(ylabel="Frozen blocks [%]", ylim=(-2, 102), xlabel="Search step")
        frozen.legend(loc="upper left", handlelength=2.6)
        letter_axes(
            axes.flat,
            ("Uncertainty", "Schedules", "Leading candidate of each block", "Blocks that stopped sampling"),
        )
        for ax in axes.flat:
            ax.grid(axis="y")
            ax.margins(x=0.01)
    return figure


def _lines(ax: Axes, table: pd.DataFrame, column: str, scale: float) -> None:
    for index, (run, lines) in enumerate(table.groupby("run", sort=False)):
        style = _STYLES[index % len(_STYLES)]
        ax.plot(lines["step"], scale * lines[column], color=INK, ls=style, lw=1.1, label=str(run))


def _schedules(ax: Axes, table: pd.DataFrame) -> None:
    """Temperature on the left axis, entropy weight on the right; the same in every run, so one run is drawn."""
    first = table[table["run"] == table["run"].iloc[0]]
    if first[["temperature", "entropy_weight"]].isna().all(axis=None):
        ax.text(0.5, 0.5, "this strategy reports no schedule", ha="center", va="center", transform=ax.transAxes)
        ax.set_yticks([])
        return
    cool, warm = "#0072B2", "#D55E00"
    ax.plot(first["step"], first["temperature"], color=cool)
    ax.set(ylim=(0, None))
    ax.set_ylabel("Temperature", color=cool)
    ax.tick_params(axis="y", colors=cool)
    right = ax.twinx()
    right.plot(first["step"], first["entropy_weight"], color=warm, ls=(0, (5, 1.6)))
    right.axhline(0, color=warm, lw=0.6, alpha=0.5)
    right.spines["right"].set_visible(True)
    right.set_ylabel("Entropy weight", color=warm)
    right.tick_params(axis="y", colors=warm)
