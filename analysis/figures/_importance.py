"""Fig. 6: drop of the target's part of Delta_m when a block's output is permuted."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures._heat import draw_heat
from analysis.figures.style import MUTED, paper_style

__all__ = ["draw_importance"]


def draw_importance(table: pd.DataFrame) -> Figure:
    """Heat map, targets in rows and sources in columns: the mean, and below it the interval; grey: cut in every run.

    Args:
        table: Table of `analysis.source_importance.source_importance`. Without single-task runs, the drop is
            that of the target's own metric.
    """
    relative = bool(table["delta_m"].isna().any())
    measure = "share" if relative else "delta_m"
    tasks = list(dict.fromkeys(table["target"]))
    values = table.assign(**{measure: table[measure].where(table["cut"] < 1)})
    grid = values.pivot(index="target", columns="source", values=measure).loc[tasks, tasks]
    limit = max(float(grid.abs().max().max()), 1e-3)
    with paper_style():
        figure, ax = draw_heat(
            grid,
            "Drop of the target's metric [%]" if relative else r"Drop of $\Delta_m$ [percentage points]",
            cmap="RdBu_r",
            vmin=-limit,
            vmax=limit,
        )
        for row in table.to_dict("records"):
            x, y = tasks.index(row["source"]) + 0.5, tasks.index(row["target"]) + 0.5
            if row["cut"] == 1:
                ax.text(x, y, "cut", ha="center", va="center", color=MUTED, size=7)
                continue
            ink = "white" if abs(row[measure]) > 0.6 * limit else "#262626"
            known = not relative and not math.isnan(row["low"])
            ax.text(x, y - 0.12 * known, _number(row[measure]), ha="center", va="center", color=ink)
            if known:
                ends = f"{_number(row['low'])} … {_number(row['high'])}"
                ax.text(x, y + 0.24, ends, ha="center", va="center", color=ink, size=4.6)
        runs, permutations = int(table["n"].max()), int(table["permutations"].max())
        ax.set_title(f"{runs} run{'s' if runs > 1 else ''}, {permutations} permutations", pad=8)
    return figure


def _number(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")  # adding 0 leaves no negative one
