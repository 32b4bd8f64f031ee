"""The random content of the pictures of `planted`: regions, dots, pointers and hints.

Shapes: n pictures, N panels (one per task), G x G cells per panel, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter

__all__ = ["CLASSES", "SHARES", "Scenes", "draw_scenes", "look_up"]

CLASSES = 4
"""K, the number of classes."""

SHARES = (0.4, 0.3, 0.2, 0.1)
"""Shares of a panel that classes cover. With equal shares, the mean over regions would equal that over the panel."""

SMOOTH = 5
"""Side, in cells, of the window over which noise is averaged to make it smooth."""

TEXTURE = 0.5
"""Variation of the density of dots with place and class. At 0, windows and regions would differ by chance only."""


@dataclass(frozen=True)
class Scenes:
    """The content of n pictures.

    Attributes:
        classes: ``(n, N, G, G)``, the class of every cell, 0..K-1.
        dots: ``(n, N, G, G)``, 1 where there is a dot, else 0.
        pointers: ``(n, N, G, G)``, the class that a cell points to, 0..K-1.
        hints: ``(n, N, N, G, G)``: the class, 0..K-1, that a cell of panel i shows for the same cell in panel j.
    """

    classes: np.ndarray
    dots: np.ndarray
    pointers: np.ndarray
    hints: np.ndarray


def draw_scenes(generator: np.random.Generator, count: int, panels: int, grid: int, purity: float) -> Scenes:
    """Draws random scenes.

    Regions are level sets of smooth noise. They are scattered, and each covers exactly its share of the panel. The
    assignment of shares to classes is drawn for every panel of every picture. The density of dots varies smoothly
    over a panel. It also varies with the classes of the cell in *all* panels, so that no two contexts hold the same
    information.

    Args:
        generator: Generator of all draws.
        count: n, the number of pictures.
        panels: N, the number of panels.
        grid: G, the number of cells along a side of a panel.
        purity: Share of the hints that are true; the others are drawn from all classes.
    """
    shape = (count, panels, grid, grid)
    rank = _smooth(generator, shape).reshape(count, panels, -1).argsort(-1).argsort(-1).reshape(shape)
    level = np.searchsorted(np.cumsum(SHARES)[:-1], (rank + 0.5) / grid**2)
    classes = look_up(generator.random((count, panels, CLASSES)).argsort(-1), level)
    uneven = SMOOTH * _smooth(generator, shape)
    for panel in range(panels):
        effect = generator.standard_normal((count, panels, CLASSES))
        uneven += look_up(effect, np.broadcast_to(classes[:, panel, None], shape))
    dots = generator.random(shape) < 1 / (1 + np.exp(-TEXTURE * uneven))
    pointers = generator.integers(0, CLASSES, shape)
    told = generator.random((count, panels, *shape[1:])) < purity
    hints = np.where(told, classes[:, None], generator.integers(0, CLASSES, told.shape))
    return Scenes(*(array.astype(np.uint8) for array in (classes, dots, pointers, hints)))


def _smooth(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    smoothed: np.ndarray = uniform_filter(generator.standard_normal(shape), size=SMOOTH, axes=(-2, -1))
    return smoothed


def look_up(of_class: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Looks up ``(..., K)`` values by the class ``(..., G, G)`` of every cell; returns ``(..., G, G)``."""
    flat = classes.reshape(*classes.shape[:-2], -1)
    return np.take_along_axis(of_class, flat, -1).reshape(classes.shape)
