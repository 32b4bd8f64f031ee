"""Fig. 5: multi-task performance against the cost of the network."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.style import INK, MUTED, PAGE, letter_axes, model_colours, new_figure, paper_style

__all__ = ["draw_resources"]


def draw_resources(table: pd.DataFrame) -> Figure:
    """Two panels: Delta_m against parameters and against multiply-adds; a point per model, one std up and down.

    Args:
        table: ``model``, ``delta_m_mean``, ``delta_m_std`` (percent), ``parameters``, ``multiply_adds``.
    """
    models = [str(model) for model in table["model"]]
    colours = model_colours(models)
    with paper_style():
        figure = new_figure(PAGE, 2.9)
        axes = figure.subplots(1, 2, sharey=True)
        for ax, column, unit, label in (
            (axes[0], "parameters", 1e6, "Parameters [M], ← better"),
            (axes[1], "multiply_adds", 1e9, "Multiply-adds of an image [G], ← better"),
        ):
            for row in table.to_dict("records"):
                ax.errorbar(
                    row[column] / unit,
                    row["delta_m_mean"],
                    yerr=row["delta_m_std"],
                    fmt="o",
                    ms=6,
                    color=colours[str(row["model"])],
                    mec=INK,
                    mew=0.5,
                    ecolor=MUTED,
                    elinewidth=0.9,
                    capsize=2,
                    label=row["model"],
                )
            ax.axhline(0, color=MUTED, lw=0.8, ls=(0, (4, 3)))
            ax.grid()
            ax.margins(x=0.1)
            ax.locator_params(axis="x", nbins=5)  # small networks have long numbers
            ax.set_xlabel(label)
        axes[0].set_ylabel(r"$\Delta_m$ [%], ↑ better")
        letter_axes(axes, ("Size", "Computation"))
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right center")
    return figure
