"""The landscape of a space whose genotypes were all tried: effects, all results in order, local optima, cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.style import INK, MUTED, PAGE, letter_axes, new_figure, paper_style
from analysis.figures.words import CHOICES, Words
from analysis.pareto import pareto_front

__all__ = ["draw_effects", "draw_optima", "draw_table_cost"]

_MAIN, _PAIR, _HIGHER, _NOISE = "#0072B2", "#56B4E9", "#B5D9EE", "#D9D9D9"
_PLANTED = "#D55E00"


def draw_effects(means: pd.DataFrame, shares: pd.DataFrame, unit: str, words: Words = CHOICES) -> Figure:
    """Main effects of all options, and the shares of variance that choices and their interactions explain.

    Args:
        means: Table of `analysis.landscape.option_means`.
        shares: Table of `analysis.landscape.choice_effects`; may be empty.
        unit: Unit of the effects, for the axis.
        words: Words for the space.
    """
    choices = list(dict.fromkeys(means["choice"]))
    options = words.in_order(means["option"])
    colours, titles = words.colours(options), words.titles(options)
    with paper_style():
        figure = new_figure(PAGE, max(2.6, 1.1 + 0.48 * len(choices)))
        axes = figure.subplots(1, 2, width_ratios=(1.35, 1)) if len(shares) else [figure.subplots()]
        ax = axes[0]
        for place, choice in enumerate(choices):
            of = means[means["choice"] == choice].set_index("option")["effect"]
            there = [option for option in options if option in of.index]
            height = 0.8 / len(there)
            for row, option in enumerate(there):
                ax.barh(place - 0.4 + (row + 0.5) * height, of[option], height=0.92 * height, color=colours[option])
        ax.axvline(0, color=INK, lw=0.7)
        ax.set_yticks(range(len(choices)), [words.title(choice) for choice in choices])
        ax.tick_params(axis="y", length=0)
        ax.invert_yaxis()
        ax.grid(axis="x")
        ax.set_xlabel(f"Mean with this {words.option.lower()} less the mean of all {unit}")
        if len(shares):
            _shares(axes[1], shares, words)
            letter_axes(axes, ("Main effects", "What explains the differences"))
        handles = [ax.barh([0], [0], color=colours[option], label=titles[option]) for option in options]
        figure.legend(handles=handles, loc="outside upper center", ncols=len(options), handlelength=1)
    return figure


def _shares(ax: Axes, shares: pd.DataFrame, words: Words) -> None:
    names = {1: _MAIN, 2: _PAIR, 3: _HIGHER, 0: _NOISE}
    labels = [
        words.title(effect)
        if order == 1
        else " × ".join(f"({words.title(choice)})" for choice in effect.split(" x "))
        if order == 2
        else effect
        for effect, order in zip(shares["effect"], shares["order"], strict=True)
    ]
    bars = ax.barh(range(len(shares)), 100 * shares["share"], color=[names[order] for order in shares["order"]])
    ax.bar_label(bars, [f"{100 * share:.1f}" for share in shares["share"]], padding=2, size=7, color=INK)
    ax.set_yticks(range(len(shares)), labels, size=7)
    ax.tick_params(axis="y", length=0)
    ax.invert_yaxis()
    ax.margins(x=0.14)
    ax.set_xlabel("Share of the variance between genotypes [%]")


def draw_optima(values: pd.DataFrame, optima: pd.DataFrame, alike: int, label: str) -> Figure:
    """All genotypes in order of their means, and the local optima with the shares of starts that end there.

    Args:
        values: Genotypes x seeds.
        optima: Table of `analysis.landscape.local_optima`.
        alike: Number of genotypes that are not significantly worse than the best.
        label: Label of the axis of results.
    """
    means = values.mean(axis=1).sort_values(ascending=False, kind="stable")
    with paper_style():
        figure = new_figure(PAGE, 2.9)
        ax, beside = figure.subplots(1, 2, width_ratios=(1.5, 1))
        places = np.arange(1, len(means) + 1)
        ordered = values.loc[means.index]
        for seed in ordered:
            ax.plot(places, ordered[seed], ".", ms=2.2, color=MUTED, alpha=0.6, mew=0, rasterized=True)
        ax.plot(places, means, color=_MAIN, lw=1.2, label="mean over seeds")
        ax.plot([], [], ".", ms=4, color=MUTED, label="one seed")
        ax.axvspan(0.5, alike + 0.5, color="#E69F00", alpha=0.25, lw=0, label=f"not worse than the best ({alike})")
        keys = optima[list(values.index.names)].itertuples(index=False, name=None)
        places_of = {key: place for place, key in enumerate(means.index, start=1)}
        at = [places_of[key] for key in keys]
        ax.plot(at, optima["mean"], "v", ms=4.5, color=_PLANTED, mec=INK, mew=0.3, label="local optimum")
        ax.set(xlabel="Rank of the genotype", ylabel=label, xlim=(0.5, len(means) + 0.5))
        ax.grid(axis="y")
        ax.legend(loc="lower left")
        beside.bar(range(1, len(optima) + 1), 100 * optima["basin"], color=_PLANTED, width=0.7)
        for place, (basin, regret) in enumerate(zip(optima["basin"], optima["regret"], strict=True), start=1):
            if len(optima) <= 14:
                text = f"{regret:.1f}" if regret else "best"
                beside.text(place, 100 * basin + 0.6, text, ha="center", va="bottom", size=6.5, color=INK)
        beside.set(xlabel="Local optimum, the best first; above: regret", ylabel="Starts that end there [%]")
        beside.set_xticks(range(1, len(optima) + 1) if len(optima) <= 14 else [1, len(optima)])
        beside.margins(y=0.12)
        beside.set_xlim(0.3, max(len(optima), 4) + 0.7)  # a single bar is no wider than one of several
        letter_axes((ax, beside), ("All genotypes", "Steepest ascent"))
    return figure


def draw_table_cost(points: pd.DataFrame, named: Mapping[str, Sequence[int]], label: str) -> Figure:
    """Result against multiply-adds of all genotypes, with the Pareto front.

    Args:
        points: ``result`` (mean) and ``multiply_adds``, a row per genotype.
        named: Name -> rows that are marked under this name.
        label: Label of the axis of results.
    """
    marks = ("*", "s", "D", "^", "P", "X", "o")
    colours = (_PLANTED, "#D9D9D9", "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9")
    with paper_style():
        figure = new_figure(PAGE * 0.72, 3.0)
        ax = figure.subplots()
        scale, unit = (1e9, "G") if points["multiply_adds"].max() > 1e9 else (1e6, "M")
        x = points["multiply_adds"] / scale
        ax.scatter(x, points["result"], s=7, color=MUTED, alpha=0.6, lw=0)
        front = pareto_front(zip(points["result"], x, strict=True))
        steps = [*front, (front[-1][0], float(x.max()))]
        ax.step([cost for _, cost in steps], [result for result, _ in steps], where="post", color=INK, lw=0.9,
                label="best at most this cost")  # fmt: skip
        for (name, rows), mark, colour in zip(named.items(), marks, colours, strict=False):
            size = 75 if mark == "*" else 26
            of = points.iloc[list(rows)]
            ax.scatter(of["multiply_adds"] / scale, of["result"], s=size, marker=mark, color=colour, ec=INK, lw=0.5,
                       label=name, zorder=3)  # fmt: skip
        ax.set(xlabel=f"Multiply-adds of an image [{unit}], ← better", ylabel=label)
        ax.grid()
        figure.legend(loc="outside right center")
    return figure
