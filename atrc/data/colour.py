"""Brightness, contrast, saturation and hue of a picture, as functions on its three colour planes.

Every function takes and returns ``(3, H, W)`` float32: red, green and blue in 0..255. Results are clipped to that
range. Saturation and hue are those of the HSV cone: value (the largest channel) stays as it is.
"""

from __future__ import annotations

import numpy as np

__all__ = ["adjust_contrast", "adjust_saturation", "shift_brightness", "shift_hue"]


def shift_brightness(planes: np.ndarray, offset: float) -> np.ndarray:
    """Adds ``offset`` to every channel."""
    return _clip(planes + np.float32(offset), 255)


def adjust_contrast(planes: np.ndarray, gain: float) -> np.ndarray:
    """Multiplies every channel by ``gain``."""
    return _clip(planes * np.float32(gain), 255)


def adjust_saturation(planes: np.ndarray, factor: float) -> np.ndarray:
    """Multiplies the HSV saturation ``(max - min) / max`` by ``factor``, up to full saturation."""
    value, chroma = _value_and_chroma(planes)
    # With value fixed, saturation is proportional to each channel's distance from it; a factor of value / chroma
    # takes the smallest channel to 0, which is full saturation.
    reach = np.minimum(np.float32(factor), value / np.maximum(chroma, np.float32(1e-6)))
    return _clip(value - reach * (value - planes), 255)


def shift_hue(planes: np.ndarray, turn: float) -> np.ndarray:
    """Turns the hue by ``turn`` of the full circle (any sign); greys stay grey."""
    value, chroma = _value_and_chroma(planes)
    red, green, blue = (value - planes) / np.maximum(chroma, np.float32(1e-6))
    sextant = np.where(
        red == 0,
        blue - green,
        np.where(green == 0, np.float32(2) + red - blue, np.float32(4) + green - red),
    ) + np.float32(6 * turn)
    # Around its opposite hue, a channel lacks the whole chroma over two of six sextants. It regains it over the next
    # on either side; its share depends on the distance to the opposite on the circle of 6.
    away = np.asarray([3, 1, -1], np.float32)[:, None, None] + sextant
    away -= np.float32(6) * np.rint(away / np.float32(6))
    share = _clip(np.float32(2) - np.abs(away), 1)
    return _clip(value - chroma * share, 255)


def _clip(array: np.ndarray, top: float) -> np.ndarray:
    """Limits ``array`` to 0..top, in place."""
    return np.clip(array, np.float32(0), np.float32(top), out=array)


def _value_and_chroma(planes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns HSV value (largest channel) and chroma (largest minus smallest), each ``(H, W)``."""
    value = np.maximum(np.maximum(planes[0], planes[1]), planes[2])
    return value, value - np.minimum(np.minimum(planes[0], planes[1]), planes[2])
