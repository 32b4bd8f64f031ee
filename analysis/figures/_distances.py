"""Distances between the genotypes of searches, and which of them are alike."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import dendrogram, linkage
from scipy.spatial.distance import squareform

from analysis.figures.style import INK, MANY, new_figure, paper_style
from analysis.figures.words import BLOCKS, Words

__all__ = ["draw_distances"]


def draw_distances(distances: pd.DataFrame, choices: int, words: Words = BLOCKS) -> Figure:
    """A dendrogram (average linkage) above the heat map of distances, in its order.

    With many runs the cells are smaller, have no names, and are drawn as one image.

    Args:
        distances: Runs x runs: in how many choices two genotypes differ.
        choices: Number of choices of the space.
        words: Words for the space.
    """
    with paper_style():
        many = len(distances) > MANY
        side = 0.36 * min(len(distances), MANY)
        figure = new_figure(max(3.2, side + 1.9), max(3.0, side + 1.8))
        tree, ax = figure.subplots(2, 1, height_ratios=(1, 3.2))
        links = linkage(squareform(distances.to_numpy(float), checks=False), "average")
        drawn = dendrogram(links, ax=tree, color_threshold=0, above_threshold_color=INK, no_labels=True)
        tree.set(ylim=(0, choices), ylabel="Distance")
        tree.spines["bottom"].set_visible(False)
        order = distances.index[np.asarray(drawn["leaves"])]
        sns.heatmap(
            distances.loc[order, order],
            ax=ax,
            vmin=0,
            vmax=choices,
            cmap="Blues",
            annot=len(distances) <= 20,
            rasterized=many,
            fmt=".0f",
            annot_kws={"size": 6.5},
            linewidths=0 if many else 0.8,
            linecolor="white",
            cbar=False,
            xticklabels=False,  # seaborn would compare the places of all names with one another
            yticklabels=False,
        )
        label = f"{words.choice.capitalize()}s of {choices} that differ"
        # beside both, so that the leaves stay above their columns
        figure.colorbar(ax.collections[0], ax=(tree, ax), label=label, shrink=0.7)
        ax.set(xlabel=f"{len(order)} searches, in the order of the tree" if many else "", ylabel="")
        ax.tick_params(length=0)
        if many:
            ax.set_xticks([])
            ax.set_yticks([])
            return figure
        ax.set_xticks(np.arange(len(order)) + 0.5, order, rotation=60, ha="right", rotation_mode="anchor", size=6.5)
        ax.set_yticks(np.arange(len(order)) + 0.5, order, rotation=0, va="center", size=6.5)
    return figure
