"""The information in a context: the density of a source's dots over the cells that a target's cell attends to.

Each function computes one context type (Sec. 3.2) from scenes, without a network. To plant a context of their own,
users register a function under its name::

    @CONTENTS.register("column")
    def column(scenes: Scenes, target: int, source: int) -> np.ndarray: ...
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from atrc.data.planted.scene import CLASSES, Scenes, look_up
from searchspace import Registry

__all__ = ["CONTENTS", "WINDOW"]

CONTENTS: Registry[Callable[[Scenes, int, int], np.ndarray]] = Registry("planted context", "atrc.planted_contents")
"""Context type -> function of scenes, the target's panel and the source's: ``(n, G, G)`` densities."""

WINDOW = 5
"""Side, in cells, of the neighbourhood of `local`."""


@CONTENTS.register("global")
def panel(scenes: Scenes, target: int, source: int) -> np.ndarray:
    """Returns the density over the whole panel, the same for all its cells."""
    dots = scenes.dots[:, source]
    return np.broadcast_to(dots.mean((1, 2), keepdims=True), dots.shape)


@CONTENTS.register("local")
def neighbourhood(scenes: Scenes, target: int, source: int) -> np.ndarray:
    """Returns the density over the part of the window around the cell that lies on the panel."""
    from scipy.ndimage import uniform_filter  # takes a tenth of a second, and only planted data needs it

    dots = scenes.dots[:, source].astype(float)
    dotted, cells = (
        uniform_filter(values, size=WINDOW, axes=(-2, -1), mode="constant") for values in (dots, np.ones_like(dots))
    )
    density: np.ndarray = dotted / cells
    return density


@CONTENTS.register("t_label")
def region_of_target(scenes: Scenes, target: int, source: int) -> np.ndarray:
    """Returns the density over the region of the target's panel that has the class the cell points to."""
    return _region(scenes.dots[:, source], scenes.classes[:, target], scenes.pointers[:, target])


@CONTENTS.register("s_label")
def region_of_source(scenes: Scenes, target: int, source: int) -> np.ndarray:
    """Returns the density over the region of the source's panel that has the class the cell points to."""
    return _region(scenes.dots[:, source], scenes.classes[:, source], scenes.pointers[:, target])


def _region(dots: np.ndarray, classes: np.ndarray, pointers: np.ndarray) -> np.ndarray:
    inside = classes[:, None] == np.arange(CLASSES)[:, None, None]
    density = (inside * dots[:, None]).sum((2, 3)) / inside.sum((2, 3))
    return look_up(density, pointers)
