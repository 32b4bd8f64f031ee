"""Growth of the cost of a search step: one panel for every number that was varied."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.figures.style import INK, PAGE, letter_axes, new_figure, paper_style

__all__ = ["draw_scaling"]

_PANELS = {"tasks": "Tasks", "pixels": "Pixels of a feature map", "images": "Images in a batch"}
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")


def draw_scaling(table: pd.DataFrame) -> Figure:
    """Medians as lines, quartiles as bands; each panel holds the other two numbers at their most frequent values.

    Args:
        table: A row per measurement of ``atrc bench scaling``: contender, median_ms, low_ms, high_ms, tasks, pixels,
            images.
    """
    middle = {name: table[name].mode()[0] for name in _PANELS}
    contenders = list(dict.fromkeys(table["contender"]))
    with paper_style():
        figure = new_figure(PAGE, 2.4)
        axes = figure.subplots(1, len(_PANELS))
        for ax, (name, label) in zip(axes, _PANELS.items(), strict=True):
            others = [other for other in _PANELS if other != name]
            rows = table[(table[others] == pd.Series(middle)[others]).all(axis=1)].sort_values(name)
            for contender, colour in zip(contenders, _COLOURS, strict=False):
                of = rows[rows["contender"] == contender]
                ax.fill_between(of[name], of["low_ms"] / 1e3, of["high_ms"] / 1e3, color=colour, alpha=0.18, lw=0)
                ax.plot(of[name], of["median_ms"] / 1e3, color=colour, marker="o", ms=3, label=contender)
            ax.set(xlabel=label, ylim=(0, None))
            ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            ax.grid(axis="y")
        axes[0].set_ylabel("Seconds a step")
        axes[0].legend(loc="upper left", labelcolor=INK)
        fixed = {"tasks": f"{middle['tasks']} tasks", "pixels": f"{middle['pixels']} pixels"}
        fixed["images"] = f"{middle['images']} images"
        letter_axes(axes, [", ".join(fixed[other] for other in _PANELS if other != name) for name in _PANELS])
    return figure
