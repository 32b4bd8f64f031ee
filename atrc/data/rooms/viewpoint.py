"""Chooses the place of the camera: inside the room, away from all things, with something to look at."""

from __future__ import annotations

import math

import numpy as np

from atrc.data.rooms.camera import Camera, aim
from atrc.data.rooms.layout import Layout, Placed

__all__ = ["view"]

_NEAREST = 0.7
"""Smallest z-depth of walls at the image's left and right ends, metres."""

_WIDEST = 74.0
"""Largest horizontal field of view, degrees."""


def view(layout: Layout) -> Camera:
    """Returns the most interesting of several random cameras inside the room, away from every solid."""
    things = _things(layout)
    # a crowded room may have no such place; then smaller distances are allowed
    for clearance, tries in ((0.9, 16), (0.75, 40), (0.5, 160)):
        places, targets = _candidates(layout, tries)
        step = (targets - places)[:2]
        distance = np.hypot(*step)
        ahead = step / distance
        score = np.where(
            (distance < 1.8) | (_wall_depth(layout, places, ahead) < _NEAREST),
            -math.inf,
            _interest(things, places, ahead, clearance) + 0.5 * np.minimum(distance, 4.0),
        )
        best = score.argmax()
        if score[best] > -math.inf:
            place, target = places[:, best], targets[:, best]
            break
    else:
        place = np.array((0.5, 0.5, layout.height - 0.3))
        target = np.array((layout.width / 2, layout.depth / 2, 0.8))
    dice = layout.dice
    return aim(place, target, dice.between(-0.05, 0.05), dice.between(58, _WIDEST))


def _candidates(layout: Layout, tries: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns ``(3, tries)`` random places at the height of the eyes, and points near something to look at."""
    dice, placed, persons = layout.dice, layout.placed, layout.persons
    draws = dice.units(tries * (8 if persons else 7)).reshape(tries, -1).T
    low = np.array([[0.45], [0.45], [1.1]])
    high = np.array([[layout.width - 0.45], [layout.depth - 0.45], [1.75]])
    places = low + (high - low) * draws[:3]

    sights = np.array([_sight(layout, item) for item in placed])
    focus = (draws[-4] * len(placed)).astype(int)
    if persons:
        faces = np.array([k for k, item in enumerate(placed) if any(item is person for person in persons)])
        focus = np.where(draws[3] < 0.8, faces[(draws[-4] * len(faces)).astype(int)], focus)
    spread = np.array([[0.3], [0.3], [0.15]])
    return places, sights[focus].T + (-spread + (spread + spread) * draws[-3:])


def _sight(layout: Layout, item: Placed) -> tuple[float, float, float]:
    """Returns the point at which a camera aims to see an item: slightly shifted to the room's centre."""
    height = item.z + 0.5 * min(item.piece.height, 1.7)
    return 0.75 * item.x + 0.125 * layout.width, 0.75 * item.y + 0.125 * layout.depth, 0.6 * min(height, 1.4) + 0.36


def _wall_depth(layout: Layout, places: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """Returns the ``(N,)`` z-depth of the nearest wall at the left and right ends of a level image.

    ``ahead`` are the ``(2, N)`` unit vectors on the floor along which the cameras look.
    """
    ahead_x, ahead_y = ahead
    tangent = math.tan(math.radians(_WIDEST / 2)) * np.array([[-1.0], [1.0]])
    gaps = [
        np.where(step > 0, size - position, position) / np.maximum(np.abs(step), 1e-6)
        for step, position, size in (
            (ahead_x + tangent * ahead_y, places[0], layout.width),
            (ahead_y - tangent * ahead_x, places[1], layout.depth),
        )
    ]
    return np.minimum(*gaps).min(0)


def _things(layout: Layout) -> np.ndarray:
    """Returns the things that a camera may see or collide with, ``(8, things, 1)``.

    The eight numbers are place (x, y), half extent (x, y), lowest and highest point, 1 for a person, and interest.
    """
    rows = [
        (
            *(item.x, item.y, *item.extent, item.z, item.z + item.piece.height),
            item.piece.name == "person",
            0.4 if item.piece.name in ("rug", "picture") else 1.0,
        )
        for item in layout.placed
    ]
    return np.array(rows, dtype=float).T[:, :, None]


def _interest(things: np.ndarray, places: np.ndarray, ahead: np.ndarray, clearance: float) -> np.ndarray:
    """Returns the ``(N,)`` interest of cameras' views; -inf if a thing is nearer than ``clearance`` metres."""
    place_x, place_y, half_x, half_y, bottom, top, person, worth = things
    x, y, z = places
    ahead_x, ahead_y = ahead
    dx, dy = place_x - x, place_y - y
    outside = np.hypot(np.maximum(np.abs(dx) - half_x, 0), np.maximum(np.abs(dy) - half_y, 0))
    front = dx * ahead_x + dy * ahead_y
    side = np.abs(dx * ahead_y - dy * ahead_x)
    # at two to four metres, whole bodies are visible
    worth = np.where(person, 2.5 - np.abs(front - 2.8) * 0.6, worth)
    worth = worth - 2.0 * ((outside < 1.4) & (top > z - 0.4 * outside))
    seen = (front >= 0.8) & (side <= 0.62 * front)
    blocked = (outside < clearance) & (top > 0.1) & (bottom < z + 0.3)
    return np.where(blocked.any(0), -math.inf, (worth * seen).sum(0))
