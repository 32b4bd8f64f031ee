"""Anytime performance: Delta_m of each strategy's incumbent, against the budget that was spent."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from analysis.figures.style import MUTED, PAGE, kind_colours, new_figure, paper_style
from analysis.multitask import spread

__all__ = ["draw_anytime"]


def draw_anytime(points: pd.DataFrame, multi: float, warning: str | None = None) -> Figure:
    """One panel per strategy, the others in grey behind it: mean over seeds with its 95 % t interval.

    Args:
        points: ``strategy``, ``kind``, ``seed``, ``fraction``, ``samples``, ``delta_m`` in percent.
        multi: Delta_m of the multi-task baseline, drawn as a dashed line.
        warning: Text below the title.
    """
    labels = list(dict.fromkeys(points["strategy"]))
    columns = min(3, len(labels))
    rows = -(-len(labels) // columns)
    kinds = {label: str(points[points["strategy"] == label]["kind"].iloc[0]) for label in labels}
    colours = {label: kind_colours()[kind] for label, kind in kinds.items()}
    curves = {label: _curve(points[points["strategy"] == label]) for label in labels}
    with paper_style():
        figure = new_figure(PAGE, 0.9 + 1.35 * rows)
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for ax, label in zip(axes.flat, labels, strict=False):
            for other, curve in curves.items():
                if other != label:
                    ax.plot(curve["samples"], curve["mean"], color=MUTED, lw=0.7, alpha=0.35, zorder=1)
            curve = curves[label]
            ax.axhline(multi, color=MUTED, lw=0.9, ls=(0, (4, 3)), zorder=1)
            ax.fill_between(curve["samples"], curve["low"], curve["high"], color=colours[label], alpha=0.2, lw=0)
            ax.plot(curve["samples"], curve["mean"], "o-", color=colours[label], ms=3.5, lw=1.5, zorder=3)
            ax.set_title(f"{label} ({kinds[label]})", size=8)
            ax.grid(axis="y")
        for ax in axes.flat[len(labels) :]:
            ax.set_visible(False)
        # All means, and of the intervals most: one that few seeds make very wide would flatten every curve.
        low, high = (np.concatenate([curve[end] for curve in curves.values()]) for end in ("low", "high"))
        means = np.append(np.concatenate([curve["mean"] for curve in curves.values()]), multi)
        ends = [*np.nanquantile(low, [0.25]), *np.nanquantile(high, [0.75])] if np.isfinite(low).any() else []
        bottom, top = min(*ends, means.min(), 0.0), max(*ends, means.max(), 0.0)
        axes[0, 0].set_ylim(bottom - 0.05 * (top - bottom), top + 0.05 * (top - bottom))
        figure.supxlabel("images that learning has taken", size=8.5)
        figure.supylabel(r"$\Delta_m$ of the incumbent, trained [%]", size=8.5)
        note = "mean over seeds, 95 % t interval; dashed: multi-task baseline"
        figure.suptitle(f"{warning}\n{note}" if warning else note, size=8.5)
    return figure


def _curve(points: pd.DataFrame) -> dict[str, np.ndarray]:
    fractions = sorted(points["fraction"].unique())
    values = [points[points["fraction"] == fraction]["delta_m"] for fraction in fractions]
    mean, std, n = (np.array(column, dtype=float) for column in zip(*map(spread, values), strict=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        half = stats.t.ppf(0.975, n - 1) * std / np.sqrt(n)
    samples = np.array(fractions) * float(points["samples"].mean())
    return {"samples": samples, "mean": mean, "low": mean - half, "high": mean + half}
