"""Course of a search: entropy, schedules, the leading candidate of every choice, freezing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.style import (
    INK,
    MANY,
    MOST_PATHS,
    PAGE,
    legend_columns,
    letter_axes,
    new_figure,
    paper_style,
)
from analysis.figures.words import BLOCKS, Words

__all__ = ["draw_trajectory"]

# Runs differ by line style, so that colour stays free for options.
_STYLES = ("-", (0, (5, 1.6)), (0, (1.2, 1.2)), (0, (5, 1.4, 1.2, 1.4)), (0, (3, 3)))


def draw_trajectory(trajectory: pd.DataFrame, blocks: pd.DataFrame, words: Words = BLOCKS) -> Figure:
    """Four panels over the steps of one experiment's searches; many searches are thin lines without names.

    Args:
        trajectory: Table of `analysis.trajectory.search_trajectory`.
        blocks: Table of `analysis.trajectory.block_probabilities`.
        words: Words for the space.
    """
    options = words.in_order(blocks["final"])
    colours, titles = words.colours(options), words.titles(options)
    with paper_style():
        figure = new_figure(PAGE, 4.9)
        axes = figure.subplots(2, 2, sharex=True)
        (entropy, schedule), (leader, frozen) = axes
        _lines(entropy, trajectory["entropy"], trajectory)
        entropy.set(ylabel=f"Mean entropy of a {words.choice} [nat]")
        # a search that has hardly begun is a level line, which must not lie on the frame
        entropy.set_ylim(0, max(entropy.get_ylim()[1], 1.03 * trajectory["entropy"].max()))
        _schedules(schedule, trajectory)
        curves, finals = _leaders(blocks)
        leading = LineCollection(
            curves,
            colors=[colours[final] for final in finals],
            lw=0.7, alpha=0.8, rasterized=len(curves) > MOST_PATHS,
        )  # fmt: skip
        leader.add_collection(leading)
        leader.set(ylabel=f"Largest probability of a {words.choice}", xlabel="Search step")
        leader.set_ylim(0, max(0.6, min(1.02, 1.1 * blocks["probability"].max())))
        _lines(frozen, 100 * trajectory["frozen"], trajectory, drawstyle="steps-post")
        frozen.set(ylabel=f"Frozen {words.choice}s [%]", ylim=(-2, 102), xlabel="Search step")
        runs, labels = frozen.get_legend_handles_labels()
        if len(runs) > MANY:
            runs, labels = runs[:1], [f"{len(runs)} searches"]
        figure.legend(
            runs,
            labels,
            loc="outside upper center",
            ncols=legend_columns(len(runs)),
            handlelength=2.8,
            columnspacing=1.5,
        )
        keys = [Line2D([], [], color=colours[option], lw=2, label=titles[option]) for option in options]
        title = f"{words.option} that the {words.choice} of panel (c) ends with"
        figure.legend(
            handles=keys, loc="outside lower center", ncols=legend_columns(len(keys)), handlelength=1.2, title=title
        )
        letter_axes(
            axes.flat,
            (
                "Uncertainty",
                "Schedules",
                f"Leading candidate of each {words.choice}",
                f"{words.choice.capitalize()}s that stopped sampling",
            ),
        )
        for ax in axes.flat:
            ax.grid(axis="y")
            ax.set_xlim(0, trajectory["step"].max() * 1.01)
    return figure


def _leaders(blocks: pd.DataFrame) -> tuple[list[np.ndarray], list[str]]:
    """For every block of every run, in their order: its curve ``(steps, 2)``, and the option that it ends with."""
    number = blocks.groupby(["run", "block"], sort=False).ngroup().to_numpy()
    order = np.argsort(number, kind="stable")
    last = np.flatnonzero(np.diff(number[order], append=-1))
    curves = np.split(blocks[["step", "probability"]].to_numpy(float)[order], last[:-1] + 1)
    return curves, blocks["final"].to_numpy()[order][last].tolist()


def _lines(ax: Axes, values: pd.Series, table: pd.DataFrame, drawstyle: str = "default") -> None:
    many = table["run"].nunique() > MANY
    look: dict[str, Any] = {"lw": 0.6, "alpha": 0.3, "rasterized": True} if many else {"lw": 1.1}
    for index, (run, rows) in enumerate(table.groupby("run", sort=False)):
        look["ls"] = "-" if many else _STYLES[index % len(_STYLES)]
        ax.plot(rows["step"], values[rows.index], color=INK, label=str(run), drawstyle=drawstyle, **look)


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
