"""Colours for class maps of any number of classes, which red-green colour-blind readers can tell apart, too."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from atrc.tasks._base import IGNORE

__all__ = ["IGNORED_GREY", "paint_classes", "palette"]

IGNORED_GREY = 150
"""Grey level of ignored pixels in every picture."""

_BACKGROUND = (24, 26, 34)
_WHITE = (255, 255, 255)

# Okabe and Ito 2008, the usual colours for colour-blind readers.
_FIRST = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (204, 121, 167),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
)
_MOST_CHROMA = 75  # in CIELAB; areas of a higher chroma glare

# Machado et al. 2009, deuteranopia at full severity, on linear RGB.
_DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)


@lru_cache(maxsize=16)
def palette(count: int) -> np.ndarray:
    """Returns ``(count, 3)`` uint8 colours. Class 0 is nearly black, further ones differ as much as possible.

    The first seven are Okabe and Ito's. Distance is the mean of the CIELAB distances in normal and in deuteranopic
    vision. A long palette begins with the colours of a shorter one. White and the grey of ignored pixels are kept
    free.
    """
    steps = np.linspace(0, 255, 14).round()
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    lightness, *opponents = _lab(grid).T
    calm = (lightness > 35) & (lightness < 92) & (np.hypot(*opponents) < _MOST_CHROMA)
    candidates = grid[calm]
    perceived = _perceived(candidates)
    colours = [np.array(colour, dtype=float) for colour in (_BACKGROUND, *_FIRST)]
    taken = np.stack([*colours, np.full(3, float(IGNORED_GREY)), np.array(_WHITE, dtype=float)])
    nearest = np.min([_distance(perceived, one) for one in _perceived(taken)], axis=0)
    for _ in range(count - len(colours)):
        best = int(nearest.argmax())
        colours.append(candidates[best])
        nearest = np.minimum(nearest, _distance(perceived, perceived[best]))
    return np.array(colours[:count]).astype(np.uint8)


def paint_classes(label: np.ndarray, count: int) -> np.ndarray:
    """Draws a map of ``count`` classes as an ``(H, W, 3)`` uint8 picture, with `IGNORE` in grey."""
    table = np.full((256, 3), IGNORED_GREY, dtype=np.uint8)
    table[:count] = palette(count)
    table[IGNORE] = IGNORED_GREY
    return table[np.asarray(label).astype(np.uint8)]


def _perceived(rgb: np.ndarray) -> np.ndarray:
    """Returns ``(n, 6)``: the CIELAB values of ``(n, 3)`` colours 0..255 in normal and in deuteranopic vision."""
    linear = (rgb / 255) ** 2.2
    confused = np.clip(linear @ _DEUTERANOPIA.T, 0, 1) ** (1 / 2.2) * 255
    return np.concatenate((_lab(rgb), _lab(confused)), axis=1)


def _lab(rgb: np.ndarray) -> np.ndarray:
    from skimage.color import rgb2lab  # deferred: only pictures need it

    return np.asarray(rgb2lab(rgb / 255))


def _distance(many: np.ndarray, one: np.ndarray) -> np.ndarray:
    """Returns ``(n,)``: the mean of the two CIELAB distances of ``(n, 6)`` colours to a ``(6,)`` one."""
    apart = np.linalg.norm((many - one).reshape(-1, 2, 3), axis=2)
    return apart.mean(axis=1)
