"""How often searches agree, block by block (Sec. 4.4)."""

from __future__ import annotations

import math

from matplotlib.figure import Figure

from analysis.agreement import Agreement
from analysis.figures._heat import draw_heat
from analysis.figures.style import paper_style

__all__ = ["draw_agreement"]


def draw_agreement(agreement: Agreement) -> Figure:
    """Heat map, targets in rows and sources in columns, each tile with its percentage of agreeing run pairs."""
    with paper_style():
        figure, ax = draw_heat(
            100 * agreement.blocks,
            "Run pairs that agree [%]",
            vmin=0,
            vmax=100,
            cmap="Blues",
            annot=True,
            fmt=".0f",
            cbar_kws={"ticks": [0, 25, 50, 75, 100]},
        )
        kappa = "undefined" if math.isnan(agreement.kappa) else f"{agreement.kappa:.2f}"
        ax.set_title(f"Mean {100 * agreement.mean:.0f} %, Fleiss' κ {kappa} ({agreement.runs} runs)", pad=8)
    return figure
