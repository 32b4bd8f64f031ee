"""Fig. 3: attention of a marked pixel, as heat maps over the image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from skimage.transform import resize

from analysis.attention import AttentionMap
from analysis.figures.style import INK, PAGE, context_titles, new_figure, paper_style
from searchspace import NONE

__all__ = ["draw_attention"]

COLUMNS = 5


def draw_attention(image: np.ndarray, pixel: tuple[int, int], maps: Sequence[AttentionMap]) -> Figure:
    """The image with a white cross, then a panel per map, each scaled to its own largest weight.

    Args:
        image: ``(H, W, 3)`` uint8.
        pixel: ``(row, column)`` of the cross.
        maps: Maps of `analysis.attention.attention_maps` for this image and pixel.
    """
    height, width = image.shape[:2]
    columns = min(COLUMNS, 1 + len(maps))
    rows = -(-(1 + len(maps)) // columns)
    titles = context_titles(one.context for one in maps)
    panel = PAGE / COLUMNS
    with paper_style():
        figure = new_figure(panel * columns, rows * (panel * height / width + 0.38))
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        axes[0].imshow(image)
        axes[0].set_title("image", weight="normal", loc="center")
        grey = np.repeat(image.mean(2, keepdims=True), 3, axis=2) / 255
        for ax, one in zip(axes[1:], maps, strict=False):
            _panel(ax, grey, one)
            source = "itself" if one.source == one.target else one.source.replace("_", " ")
            name = f"{one.target.replace('_', ' ')} ← {source}\n{titles[one.context]}"
            ax.set_title(name, weight="normal", loc="center", size=7.5)
        for ax in axes[: 1 + len(maps)]:
            ax.plot(pixel[1], pixel[0], marker="x", ms=6, mew=2.6, color=INK)
            ax.plot(pixel[1], pixel[0], marker="x", ms=5.4, mew=1.4, color="white")
        for ax in axes:
            ax.set_axis_off()
    return figure


def _panel(ax: Axes, grey: np.ndarray, one: AttentionMap) -> None:
    height, width = grey.shape[:2]
    ax.imshow(0.35 + 0.65 * grey if one.context == NONE else grey)
    if one.context == NONE:
        return
    weights = resize(one.weights, (height, width), order=1)
    heat = Normalize(0, float(weights.max()) or 1.0)(weights)
    # what is not attended to stays visible as the grey image
    ax.imshow(heat, cmap="inferno", vmin=0, vmax=1, alpha=0.25 + 0.7 * np.sqrt(heat))
