"""Draws scenes as pictures.

A picture has one panel per task, and a panel has G x G cells. The cell of a problem of two tasks::

    ground ground ground  ground  ground ground
    ground  dot    dot   pointer pointer ground     ground:   the colour of the cell's class; regions are its areas
    ground  dot    dot   pointer pointer ground     dot:      white where there is one, else black
    ground hint a hint a  hint b  hint b ground     pointer:  the colour of the class that the cell asks for
    ground hint a hint a  hint b  hint b ground     hint a:   the class of this cell in the panel of a, often wrong
    ground ground ground  ground  ground ground
"""

from __future__ import annotations

import numpy as np

from atrc.backbones import PanelLayout
from atrc.data.planted.scene import Scenes

__all__ = ["COLOURS", "draw"]

COLOURS = np.array([[225, 87, 89], [89, 161, 79], [66, 114, 214], [237, 201, 72]], np.float32)
"""RGB of the classes: red, green, blue, yellow."""

GRAIN = 6.0
"""Standard deviation of the noise on every pixel, whose values are 0..255."""


_AT_ONCE = 50
"""Number of pictures that are drawn together. It changes no pixel, but memory that fits into a cache is faster."""


def draw(scenes: Scenes, layout: PanelLayout, generator: np.random.Generator) -> np.ndarray:
    """Draws ``(n, H, W, 3)`` uint8 pictures; unused panels of the layout stay black."""
    drawn = np.empty((len(scenes.dots), *layout.size, 3), np.uint8)
    side = layout.grid * layout.cell
    for start in range(0, len(drawn), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        pictures = np.zeros(drawn[some].shape, np.float32)
        for panel in range(layout.panels):
            cells = _cells(scenes, some, panel, layout)
            pictures[:, *layout.place(panel)] = cells.swapaxes(2, 3).reshape(len(pictures), side, side, 3)
        pictures += GRAIN * generator.standard_normal(pictures.shape, np.float32)
        np.rint(pictures, out=pictures)
        drawn[some] = pictures.clip(0, 255)
    return drawn


def _cells(scenes: Scenes, some: slice, panel: int, layout: PanelLayout) -> np.ndarray:
    """Draws the cells of one panel of some scenes, ``(n, G, G, cell, cell, 3)``."""
    classes, pointers = scenes.classes[some, panel], scenes.pointers[some, panel]
    cells = np.empty((*classes.shape, layout.cell, layout.cell, 3), np.float32)
    cells[:] = _spread(COLOURS[classes])
    tile = cells[..., layout.border : -layout.border, layout.border : -layout.border, :]
    half, width = layout.tile // 2, layout.tile // layout.panels
    tile[:] = 0
    tile[..., :half, :half, :] = _spread(255.0 * scenes.dots[some, panel, ..., None])
    tile[..., :half, half:, :] = _spread(COLOURS[pointers])
    for other in range(layout.panels):
        tile[..., half:, width * other : width * (other + 1), :] = _spread(COLOURS[scenes.hints[some, panel, other]])
    return cells


def _spread(of_cell: np.ndarray) -> np.ndarray:
    """Adds axes to ``(n, G, G, 3)``, so that it broadcasts over the pixels of cells."""
    return of_cell[..., None, None, :]
