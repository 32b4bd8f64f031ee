"""The lights of a room: a light under the ceiling that casts shadows, the windows, and the lamps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from atrc.data.rooms.scene import Dice, Placed, Room

__all__ = ["Lighting", "lights"]


@dataclass
class Lighting:
    """The lights of a room; colours are linear RGB times intensity.

    Attributes:
        key: Position of the light that casts shadows.
        key_colour: Colour of this light.
        key_size: Radius of this light in metres, which makes the shadows soft.
        points: Positions and colours of lights without shadows.
        ambient: Light from everywhere.
    """

    key: tuple[float, float, float]
    key_colour: tuple[float, float, float]
    key_size: float
    points: list[tuple[tuple[float, float, float], tuple[float, float, float]]]
    ambient: tuple[float, float, float]


def lights(dice: Dice, room: Room, placed: Sequence[Placed]) -> Lighting:
    """Returns random lights; the key light is at the ceiling lamp, if there is one."""
    lamp = next((item for item in placed if item.z == room.height), None)
    x, y = (lamp.x, lamp.y) if lamp else (
        room.width * dice.between(0.3, 0.7), room.depth * dice.between(0.3, 0.7)
    )  # fmt: skip
    z = room.height - 0.12
    warmth = dice.between(0.0, 1.0)
    key = dice.between(5.0, 8.0)
    points = []
    for window in (item for item in placed if item.piece.name == "window"):
        c, s = math.cos(window.yaw), math.sin(window.yaw)
        power = dice.between(1.0, 3.5)
        points.append(
            ((window.x - s * 0.5, window.y + c * 0.5, window.z + 0.7), (power * 0.85, power * 0.95, power * 1.1))
        )
    for item in placed:
        if item.piece.name == "lamp" and item.z < room.height:
            power = dice.between(0.4, 0.9)
            top = item.z + item.piece.height + 0.05
            points.append(((item.x, item.y, top), (power, power * 0.72, power * 0.42)))
    # only the brightest two, since more would hardly be visible
    points = sorted(points, key=lambda light: -light[1][0])[:2]
    ambient = dice.between(0.45, 0.7)
    return Lighting(
        key=(x, y, z),
        key_colour=(key, key * (0.96 - 0.12 * warmth), key * (0.92 - 0.32 * warmth)),
        key_size=dice.between(0.08, 0.25),
        points=points,
        ambient=(ambient, ambient * 0.98, ambient * (1.0 - 0.1 * warmth)),
    )
