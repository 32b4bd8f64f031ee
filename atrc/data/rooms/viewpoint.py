"""Where the camera stands: inside the room, clear of everything, with something to look at."""

from __future__ import annotations

import math

from atrc.data.rooms.camera import Camera, aim
from atrc.data.rooms.layout import Layout

__all__ = ["view"]

_Thing = tuple[float, float, float, float, float, float, str]

_NEAREST = 0.7
"""z-depth in metres that walls keep at least, at the image's left and right ends."""

_WIDEST = 74.0
"""Largest horizontal field of view, degrees."""

_Point = tuple[float, float, float]


def view(layout: Layout) -> Camera:
    """A camera inside the room, clear of every solid, that has the most to show of several random ones."""
    dice = layout.dice
    things = [
        (item.x, item.y, *item.extent, item.z, item.z + item.piece.height, item.piece.name) for item in layout.placed
    ]
    best: tuple[_Point, _Point] | None = None
    # a crowded room may be clear nowhere; then a little nearer will do
    for clearance, tries in ((0.9, 16), (0.75, 40), (0.5, 160)):
        best_score = -math.inf
        for _ in range(tries):
            place, target = _candidate(layout)
            if math.dist(place[:2], target[:2]) < 1.8 or _wall_depth(layout, place, target) < _NEAREST:
                continue
            score = _score(things, place, target, clearance)
            if score > best_score:
                best, best_score = (place, target), score
        if best:
            break
    else:
        best = ((0.5, 0.5, layout.height - 0.3), (layout.width / 2, layout.depth / 2, 0.8))
    return aim(*best, dice.between(-0.05, 0.05), dice.between(58, _WIDEST))


def _candidate(layout: Layout) -> tuple[_Point, _Point]:
    """A random place at the height of the eyes, and a point near something to look at."""
    dice = layout.dice
    place = (
        dice.between(0.45, layout.width - 0.45),
        dice.between(0.45, layout.depth - 0.45),
        dice.between(1.1, 1.75),
    )
    focus = dice.pick(layout.persons) if layout.persons and dice.chance(0.8) else dice.pick(layout.placed)
    height = focus.z + 0.5 * min(focus.piece.height, 1.7)
    target = (
        0.75 * focus.x + 0.125 * layout.width + dice.between(-0.3, 0.3),
        0.75 * focus.y + 0.125 * layout.depth + dice.between(-0.3, 0.3),
        0.6 * min(height, 1.4) + 0.36 + dice.between(-0.15, 0.15),
    )
    return place, target


def _wall_depth(layout: Layout, place: _Point, target: _Point) -> float:
    """z-depth of the nearest wall at the left and right ends of a level image."""
    ahead_x, ahead_y = target[0] - place[0], target[1] - place[1]
    norm = math.hypot(ahead_x, ahead_y)
    ahead_x, ahead_y = ahead_x / norm, ahead_y / norm
    tangent = math.tan(math.radians(_WIDEST / 2))
    nearest = math.inf
    for side in (-tangent, tangent):
        for step, position, size in (
            (ahead_x + side * ahead_y, place[0], layout.width),
            (ahead_y - side * ahead_x, place[1], layout.depth),
        ):
            gap = size - position if step > 0 else position
            nearest = min(nearest, gap / max(abs(step), 1e-6))
    return nearest


def _score(things: list[_Thing], place: _Point, target: _Point, clearance: float) -> float:
    """How much of interest a camera would see; -inf where something is nearer than the clearance, in metres.

    A thing is its place (x, y), its half extent (x, y), where it begins and ends in height, and its name.
    """
    x, y, z = place
    ahead_x, ahead_y = target[0] - x, target[1] - y
    norm = math.hypot(ahead_x, ahead_y)
    ahead_x, ahead_y = ahead_x / norm, ahead_y / norm
    score = 0.0
    for place_x, place_y, half_x, half_y, bottom, top, name in things:
        dx, dy = place_x - x, place_y - y
        outside = math.hypot(max(abs(dx) - half_x, 0), max(abs(dy) - half_y, 0))
        if outside < clearance and top > 0.1 and bottom < z + 0.3:
            return -math.inf
        front = dx * ahead_x + dy * ahead_y
        side = abs(dx * ahead_y - dy * ahead_x)
        if front < 0.8 or side > 0.62 * front:
            continue
        if outside < 1.4 and top > z - 0.4 * outside:
            score -= 2.0
        if name == "person":
            # whole bodies are seen from two to four metres
            score += 2.5 - abs(front - 2.8) * 0.6
        else:
            score += 1.0 if name not in ("rug", "picture") else 0.4
    return score + 0.5 * min(norm, 4.0)
