"""Nearest-pixel resampling, by which all label maps of the package are resized.

Pixel centres are at half-integers, as in Pillow, so that labels stay aligned with an image that Pillow resized.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

__all__ = ["nearest_index", "nearest_pixels", "resize_nearest", "take_pixels"]


def resize_nearest(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resamples ``(H, W)`` or ``(H, W, C)`` to ``size`` = (rows, columns) by the nearest pixel centre."""
    if array.shape[:2] == size:
        return array
    return take_pixels(array, nearest_pixels(array.shape[:2], size))


def take_pixels(array: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Returns the pixels of an ``(H, W)`` or ``(H, W, C)`` array with given numbers, counted row by row from 0."""
    # The numbers are in range by construction; with "raise", NumPy would copy the result once more to be safe.
    return np.take(array.reshape(-1, *array.shape[2:]), pixels, axis=0, mode="clip")


@lru_cache(maxsize=2)  # the labels of a sample come one after the other
def nearest_pixels(old: tuple[int, int], new: tuple[int, int]) -> np.ndarray:
    """Returns for each pixel of a raster of size ``new`` the number of the nearest pixel of one of size ``old``."""
    rows, columns = (nearest_index(a, b) for a, b in zip(old, new, strict=True))
    return rows[:, None] * old[1] + columns


def nearest_index(old: int, new: int) -> np.ndarray:
    """Divides a line of ``old`` pixels into ``new`` cells; returns for each the pixel in which its centre lies."""
    return (2 * np.arange(new) + 1) * old // (2 * new)
