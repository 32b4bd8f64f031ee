"""Regret along many searches of a table: one panel per strategy, each against random search."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from analysis.figures.style import INK, MUTED, PAGE, kind_colours, new_figure, paper_style

__all__ = ["draw_lookup"]

COLUMNS = 5
"""Panels side by side."""


_EXPLAINED = "regret of the genotype that a search names; numbers: at its end"
FITTING = 22
"""Characters of a title that fit above a panel in full size."""
_TITLES = {"trials": "trials", "samples": "images that trainings took"}
"""Column -> name of its axis."""


def draw_lookup(curves: pd.DataFrame, against: str, unit: str, reference: str | None = None) -> Figure:
    """One panel per strategy, that of the smallest regret first: mean over searches, with its bootstrap interval.

    Args:
        curves: ``strategy``, the column of the horizontal axis, ``regret``, ``low``, ``high``. Panels keep their
            order.
        against: Column of the horizontal axis, ``trials`` or ``samples``.
        unit: Unit of the regret; may be empty.
        reference: The strategy that every panel shows as a dashed line.
    """
    factor, scale = _scale(float(curves[against].max()))
    curves = curves.assign(x=curves[against] / factor)
    labels = list(dict.fromkeys(curves["strategy"]))
    columns = min(COLUMNS, len(labels))
    rows = -(-len(labels) // columns)
    of = {label: curves[curves["strategy"] == label] for label in labels}
    colour = kind_colours()["multi-trial"]
    positive = curves.loc[curves["regret"] > 0, "regret"]
    floor = 0.6 * float(positive.min()) if len(positive) else 0.1
    with paper_style():
        figure = new_figure(PAGE, max(2.4, 1.0 + 1.05 * rows))
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for ax, label in zip(axes.flat, labels, strict=False):
            if reference in of and reference != label:
                _line(ax, of[reference], floor, color=MUTED, lw=0.9, ls=(0, (3, 2)), zorder=4)
            curve = of[label]
            low, high = (curve[end].clip(lower=floor) for end in ("low", "high"))
            ax.fill_between(curve["x"], low, high, step="post", color=colour, alpha=0.25, lw=0, zorder=1)
            _line(ax, curve, floor, color=colour, lw=1.4, zorder=3)
            ax.set_title(label, size=min(7.5, 7.5 * FITTING / len(label)), weight="normal")
            ax.text(0.97, 0.95, _short(curve["regret"].iloc[-1]), transform=ax.transAxes, ha="right", va="top",
                    size=7, color=INK)  # fmt: skip
            ax.grid(axis="y")
        for ax in axes.flat[len(labels) :]:
            ax.set_visible(False)
        for ax in axes.flat[max(0, len(labels) - columns) : len(labels)]:
            ax.tick_params(labelbottom=True)  # the last panel of a column that another column outgrows
        first = axes[0, 0]
        first.set_yscale("log")
        first.set_ylim(floor, max(1.15 * float(curves["high"].fillna(curves["regret"]).max()), 10 * floor))
        first.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        first.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        first.yaxis.set_minor_locator(NullLocator())
        first.xaxis.set_major_locator(MaxNLocator(3))
        first.set_xlim(0, float(curves["x"].max()))
        figure.supxlabel(f"{_TITLES[against]}{scale}", size=8.5)
        figure.supylabel(f"regret [{unit}]" if unit else "regret", size=8.5)
        handles: list[tuple[Artist, str]] = [
            (Line2D([], [], color=colour, lw=1.4), "mean over searches"),
            (Patch(color=colour, alpha=0.25, lw=0), "95 % bootstrap interval"),
        ]
        if reference is not None and reference in of:
            handles.append((Line2D([], [], color=MUTED, lw=1.0, ls=(0, (3, 2))), reference))
        lines, names = zip(*handles, strict=True)
        figure.legend(lines, names, loc="outside upper center", ncols=len(lines), title=_EXPLAINED)
    return figure


def _scale(largest: float) -> tuple[float, str]:
    """Returns a factor that keeps the numbers of an axis short, and its name."""
    names = {1e9: " [billions]", 1e6: " [millions]", 1e3: " [thousands]"}
    return next(((factor, name) for factor, name in names.items() if largest >= 10 * factor), (1.0, ""))


def _line(ax: Axes, curve: pd.DataFrame, floor: float, **look: Any) -> None:
    """Draws a mean, which keeps its value between two points; 0 lies at the lower end of the axis."""
    ax.step(curve["x"], curve["regret"].clip(lower=floor), where="post", **look)


def _short(value: float) -> str:
    return f"{value:#.3g}" if 0 < value < 100 else f"{value:.0f}"
