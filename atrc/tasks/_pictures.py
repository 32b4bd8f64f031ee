"""PNG pictures whose pixels are the values of decoded maps: class indices in 8 bits, probabilities in 16 bits."""

from __future__ import annotations

import numpy as np
from PIL import Image

from searchspace.errors import InputError

__all__ = ["index_picture", "probability_picture"]


def index_picture(indices: np.ndarray, colours: np.ndarray | None = None) -> Image.Image:
    """Returns whole numbers as an 8-bit picture.

    Args:
        indices: ``(H, W)``, 0..255.
        colours: ``(256, 3)`` uint8. Viewers then show index i in colour i; the pixels stay the indices.

    Raises:
        InputError: A number is out of range.
    """
    if indices.size and not 0 <= indices.min() <= indices.max() <= 255:
        raise InputError(
            f"an 8-bit picture holds 0..255, but the map has {indices.min()}..{indices.max()}: "
            "let its task override `stored`"
        )
    picture = Image.fromarray(np.ascontiguousarray(indices, dtype=np.uint8))
    if colours is not None:
        # All 256 colours, used or not, since Pillow writes fewer bits per pixel with a shorter palette.
        picture.putpalette(colours.astype(np.uint8).tobytes())
    return picture


def probability_picture(probability: np.ndarray) -> Image.Image:
    """Returns ``(H, W)`` probabilities p as a 16-bit grey picture of 65535 p, rounded: off by at most 1 / 131070."""
    return Image.fromarray((probability.astype(np.float64) * 65535).round().astype(np.uint16))
