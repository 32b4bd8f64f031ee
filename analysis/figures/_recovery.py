"""Recovery of planted answers: shares with intervals, confusion of contexts, and dependence on the problem."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.style import (
    COLUMN,
    INK,
    MUTED,
    PAGE,
    context_titles,
    legend_columns,
    model_colours,
    new_figure,
    paper_style,
)

__all__ = ["draw_confusion", "draw_recovery", "draw_recovery_against"]

AXES = {
    "samples": "images that a search takes",
    "strength": "strength of what is planted [standard deviations]",
    "noise": "noise on it [standard deviations]",
}
"""Quantities that a recovery may depend on: column -> its name at an axis."""

DECADE = 10
"""Values that are further apart than this are drawn on a logarithmic axis."""

BANDS = 2
"""Most intervals that are drawn as bands; more would cover one another, and are drawn as lines."""


def draw_recovery(table: pd.DataFrame, what: str = "planted blocks that were found") -> Figure:
    """A bar for every condition, with its 95 % interval over runs; a tick at what chance would find.

    Args:
        table: ``condition``, ``runs``, ``found``, ``of``, ``share``, ``low``, ``high``, ``chance``.
        what: Name of the blocks that are counted, for the axis.
    """
    with paper_style():
        figure = new_figure(PAGE, 0.9 + 0.3 * len(table))
        ax = figure.subplots()
        places = range(len(table))
        ax.barh(places, 100 * table["share"], height=0.62, color=model_colours(["multi"])["multi"])
        for place, row in zip(places, table.to_dict("records"), strict=True):
            ax.plot([100 * row["low"], 100 * row["high"]], [place, place], color=INK, lw=1.2)
            ax.plot([100 * row["chance"]] * 2, [place - 0.42, place + 0.42], color=INK, lw=1.2, ls=(0, (2, 1.5)))
            ax.text(101.5, place, f"{row['found']} of {row['of']}, {row['runs']} runs", va="center", size=7.5)
        ax.set_yticks(places, table["condition"].astype(str))
        ax.invert_yaxis()
        ax.set_xlim(0, 100)
        ax.grid(axis="x")
        ax.tick_params(axis="y", length=0)
        ax.set_xlabel(f"{what} [%]; line: 95 % interval over runs; dashed: chance")
    return figure


def draw_confusion(table: pd.DataFrame) -> Figure:
    """A panel for every condition: what was planted in rows, what was found in columns; numbers are blocks.

    Args:
        table: ``condition``, ``planted``, ``found``, ``count``, ``share``.
    """
    conditions = list(dict.fromkeys(table["condition"]))
    order = ["global", "local", "t_label", "s_label"]
    planted, found = _in_order(table["planted"], [*order, "nothing"]), _in_order(table["found"], [*order, "none"])
    columns = min(3, len(conditions))
    rows = -(-len(conditions) // columns)
    with paper_style():
        figure = new_figure(max(COLUMN, 2.45 * columns), 0.55 + rows * (0.75 + 0.3 * len(planted)))
        axes = figure.subplots(rows, columns, squeeze=False, sharey=True)
        for ax, condition in zip(axes.flat, conditions, strict=False):
            _confused(ax, table[table["condition"] == condition], planted, found)
            ax.set_title(condition)
        for ax in axes.flat[len(conditions) :]:
            ax.set_visible(False)
        figure.supxlabel("found", size=8)
        figure.supylabel("planted", size=8)
    return figure


def _confused(ax: Axes, table: pd.DataFrame, planted: list[str], found: list[str]) -> None:
    counts, shares = (
        table.pivot(index="planted", columns="found", values=value).reindex(index=planted, columns=found)
        for value in ("count", "share")
    )
    never = shares.isna().all(axis=1)  # a row of what this condition did not plant stays grey
    shares = shares.fillna(0).mask(never, axis=0)
    sns.heatmap(
        shares,
        ax=ax,
        annot=counts.map(lambda count: "" if pd.isna(count) else f"{count:.0f}"),
        fmt="",
        vmin=0,
        vmax=1,
        cmap="Blues",
        cbar=False,
        linewidths=1.2,
        linecolor="white",
        annot_kws={"size": 7.5},
    )
    ax.set_facecolor("#EFEFEF")
    titles = context_titles([*planted, *found])
    ax.set_xticks(ax.get_xticks(), [titles[name] for name in found], rotation=35, ha="right", rotation_mode="anchor")
    ax.set_yticks(ax.get_yticks(), [titles[name] for name in planted], rotation=0)
    ax.tick_params(length=0)
    ax.set(xlabel="", ylabel="")


def _in_order(names: pd.Series, order: list[str]) -> list[str]:
    given = set(names)
    return [*(name for name in order if name in given), *sorted(given - set(order))]


def draw_recovery_against(table: pd.DataFrame, column: str) -> Figure:
    """A line for every strategy: the share of planted blocks that were found, against what varies.

    Intervals are 95 % over runs.

    Args:
        table: Table of `analysis.recovery.recovery`.
        column: The quantity that varies, a key of `AXES`.
    """
    strategies = list(dict.fromkeys(table["strategy"]))
    colours = model_colours(strategies)
    with paper_style():
        figure = new_figure(COLUMN, 2.7)
        ax = figure.subplots()
        for strategy in strategies:
            of = table[table["strategy"] == strategy].sort_values(column)
            ends = 100 * of["low"], 100 * of["high"]
            if len(strategies) <= BANDS:
                ax.fill_between(of[column], *ends, color=colours[strategy], alpha=0.18, lw=0)
            else:
                ax.vlines(of[column], *ends, color=colours[strategy], alpha=0.5, lw=1)
            ax.plot(of[column], 100 * of["share"], "o-", color=colours[strategy], ms=3.5, label=strategy)
        ax.axhline(100 * table["chance"].mean(), color=MUTED, lw=0.9, ls=(0, (4, 3)), label="chance")
        ax.set_ylim(0, 104)
        ax.grid(axis="y")
        if (table[column] > 0).all() and table[column].max() > DECADE * table[column].min():
            ax.set_xscale("log")
            values = sorted(set(table[column]))
            ax.set_xticks(values, [f"{value:g}" for value in values])
            ax.minorticks_off()
        ax.set_xlabel(AXES[column])
        ax.set_ylabel("planted blocks found [%]")
        figure.legend(loc="outside upper left", ncols=legend_columns(len(strategies) + 1, 3), handlelength=1.4)
    return figure
