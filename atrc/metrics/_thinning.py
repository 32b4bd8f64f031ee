"""Morphological thinning of many binary maps at once: the two-pass parallel algorithm of Guo and Hall (1989).

The result equals `skimage.morphology.thin` and MATLAB's ``bwmorph(..., 'thin', Inf)``, which the BSDS benchmark
calls. A pass does not visit all pixels: it tests only those whose neighbourhood has changed since their last test. On
boundary maps this is many times faster.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

__all__ = ["thin"]

_NEIGHBOURS = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))
"""Row and column steps to x1 .. x8, counter-clockwise from the right; neighbour i is bit i of a pixel's code."""


def thin(maps: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Thins ``(N, H, W)`` bool maps until nothing changes; returns a new array.

    Pixels outside a map count as unset.
    """
    count, height, width = maps.shape
    alive_NHW = np.zeros((count, height + 2, width + 2), dtype=bool)
    alive_NHW[:, 1:-1, 1:-1] = maps
    alive = alive_NHW.reshape(-1)
    steps = np.array([row * (width + 2) + column for row, column in _NEIGHBOURS])
    code = _codes(alive_NHW).reshape(-1)
    stamp = np.empty(alive.size, dtype=np.int32)

    # A pixel with all eight neighbours set is never removed, so the first pass starts from the others.
    recent, older = np.flatnonzero(alive & (code != 255)), np.empty(0, dtype=np.int64)
    for table in _passes():
        candidates = np.concatenate((recent, older))
        if candidates.size == 0:
            break
        dead = candidates[table[code[candidates]] & alive[candidates]]
        order = np.arange(dead.size, dtype=np.int32)
        stamp[dead] = order
        dead = dead[stamp[dead] == order]  # each once, without a sort
        alive[dead] = False
        for bit, step in enumerate(steps):
            # The removed pixel lies in direction `step` of the pixel whose code loses this bit.
            code[dead - step] &= np.uint8(255 - (1 << bit))
        touched = (dead[:, None] + steps).reshape(-1)
        recent, older = touched[alive[touched]], recent
    return alive_NHW[:, 1:-1, 1:-1].copy()


def _codes(alive_NHW: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Returns every pixel's eight neighbours as the bits of one byte; the border of the array gets 0."""
    code = np.zeros(alive_NHW.shape, dtype=np.uint8)
    height, width = alive_NHW.shape[1] - 2, alive_NHW.shape[2] - 2
    for bit, (row, column) in enumerate(_NEIGHBOURS):
        shifted = alive_NHW[:, 1 + row : 1 + row + height, 1 + column : 1 + column + width]
        code[:, 1:-1, 1:-1] |= shifted.view(np.uint8) << np.uint8(bit)
    return code


def _passes() -> Iterator[NDArray[np.bool_]]:
    """Yields the tables of the two passes alternately, without end."""
    return cycle(_removable())


@lru_cache(maxsize=1)
def _removable() -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Returns for each pass a ``(256,)`` table of the neighbour codes with which a pixel is removed."""
    # x[i] is neighbour x_i of the publication; x[9] = x[1] closes the circle.
    x = [(np.arange(256) >> ((i - 1) % 8)) & 1 == 1 for i in range(10)]
    crossings = sum((~x[i] & (x[i + 1] | x[i + 2])).astype(int) for i in (1, 3, 5, 7))
    first = sum((x[i] | x[i + 1]).astype(int) for i in (1, 3, 5, 7))
    second = sum((x[i + 1] | x[i + 2]).astype(int) for i in (1, 3, 5, 7))
    fewest = np.minimum(first, second)
    common = (crossings == 1) & (fewest >= 2) & (fewest <= 3)
    return common & ~((x[2] | x[3] | ~x[8]) & x[1]), common & ~((x[6] | x[7] | ~x[4]) & x[5])
