"""The pinhole camera."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["Camera", "aim"]


@dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Attributes:
        position: ``(3,)`` metres.
        axes: ``(3, 3)``, rows are right, up and forward in the world.
        tangent: Half the image's width at distance 1.
    """

    position: np.ndarray
    axes: np.ndarray
    tangent: float

    def grid(self, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Returns where the rays through the centres of the pixels cross the plane at distance 1.

        Args:
            size: ``(H, W)`` in pixels.

        Returns:
            Coordinates of the columns to the right, ``(W,)``, ascending, and of the rows upwards, ``(H,)``,
            descending; float32.
        """
        height, width = size
        pixel = 2 * self.tangent / width
        columns = (np.arange(width) + 0.5 - width / 2) * pixel
        rows = (height / 2 - np.arange(height) - 0.5) * pixel
        return columns.astype(np.float32), rows.astype(np.float32)


def aim(position: ArrayLike, target: ArrayLike, roll: float, field_of_view: float) -> Camera:
    """Returns a camera that looks from ``position`` at ``target``.

    Args:
        position, target: ``(3,)`` metres; one must not be straight above the other.
        roll: Turn about the line of sight, radians.
        field_of_view: Horizontal field of view, degrees.
    """
    start = np.array(position)
    forward = np.array(target) - start
    forward /= np.linalg.norm(forward)
    right = np.array([forward[1], -forward[0], 0.0])
    right /= np.linalg.norm(right)
    (rx, ry, rz), (fx, fy, fz) = right, forward
    up = np.array([ry * fz - rz * fy, rz * fx - rx * fz, rx * fy - ry * fx])
    cosine, sine = math.cos(roll), math.sin(roll)
    axes = np.stack([cosine * right + sine * up, cosine * up - sine * right, forward])
    return Camera(start, axes, math.tan(math.radians(field_of_view) / 2))
