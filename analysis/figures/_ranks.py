"""Critical-difference diagram (Demsar, JMLR 2006): mean ranks, and which strategies cannot be told apart."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from analysis.figures.style import INK, PAGE, kind_colours, new_figure, paper_style

__all__ = ["draw_ranks"]


def draw_ranks(results: pd.DataFrame, kinds: Mapping[str, str], warning: str | None = None) -> Figure:
    """Mean ranks on a line; a bar joins strategies that Nemenyi's test after Friedman's does not separate.

    Args:
        results: Seeds x strategies, higher is better; no missing values.
        kinds: Strategy -> ``one-shot`` or ``multi-trial``, which have a colour each if both are there.
        warning: Text above the diagram.
    """
    import scikit_posthocs  # seconds, which other figures need not wait for

    ranks = results.rank(axis=1, ascending=False).mean()
    friedman = float(stats.friedmanchisquare(*(results[label] for label in results)).pvalue)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's use of pandas
        p = scikit_posthocs.posthoc_nemenyi_friedman(results.reset_index(drop=True))
    both = len(set(kinds.values())) > 1
    colours = {label: kind_colours()[kind] if both else INK for label, kind in kinds.items()}
    with paper_style():
        figure = new_figure(PAGE * 0.8, 0.9 + 0.17 * len(ranks))
        ax = figure.subplots()
        drawn = scikit_posthocs.critical_difference_diagram(
            ranks, p, ax=ax, color_palette=colours, label_fmt_left="{label}  {rank:.1f} ",
            label_fmt_right=" {rank:.1f}  {label}", text_h_margin=0.02,
        )  # fmt: skip
        for (bar,) in drawn["crossbars"]:  # through the ranks of a set, whose order differs from process to process
            bar.set_xdata(sorted(bar.get_xdata()))
        said = f"p = {friedman:.2g}" if math.isfinite(friedman) else "no difference to test"
        text = f"mean rank over {len(results)} seeds, 1 is best; Friedman's test: {said}"
        # Not of the axes, which long names make narrow.
        figure.suptitle(f"{warning}\n{text}" if warning else text, size=8.5, weight="bold")
    return figure
