"""The pieces that stand in a room, each built of a few solids.

A piece's front looks along +y; its footprint is centred on the origin, its lowest point is at z = 0.
"""

from __future__ import annotations

import math

from atrc.data.rooms.palettes import Style, darker, linear
from atrc.data.rooms.scene import Dice, Material, Piece, Shape, Solid, Texture

__all__ = [
    "ball",
    "bed",
    "blob",
    "block",
    "box",
    "cabinet",
    "chair",
    "coffee_table",
    "counter",
    "dining_table",
    "plant",
    "pole",
    "shelf",
    "sofa",
]


def block(x0: float, x1: float, y0: float, y1: float, z0: float, z1: float, material: Material) -> Solid:
    """Builds a box from its bounds."""
    return Solid(
        Shape.BOX,
        ((x0 + x1) / 2, (y0 + y1) / 2, (z0 + z1) / 2),
        ((x1 - x0) / 2, (y1 - y0) / 2, (z1 - z0) / 2),
        material,
    )


def pole(x: float, y: float, z0: float, z1: float, radius: float, material: Material) -> Solid:
    """Builds an upright cylinder."""
    return Solid(Shape.CYLINDER, (x, y, (z0 + z1) / 2), (radius, radius, (z1 - z0) / 2), material)


def blob(x: float, y: float, z: float, rx: float, ry: float, rz: float, material: Material) -> Solid:
    """Builds an ellipsoid."""
    return Solid(Shape.ROUND, (x, y, z), (rx, ry, rz), material)


def _legs(width: float, depth: float, height: float, thick: float, material: Material) -> list[Solid]:
    """Builds four square legs under the corners."""
    x, y, t = width / 2, depth / 2, thick
    return [
        block(sx * x - (t if sx > 0 else 0), sx * x + (t if sx < 0 else 0),
             sy * y - (t if sy > 0 else 0), sy * y + (t if sy < 0 else 0), 0, height, material)
        for sx in (-1, 1) for sy in (-1, 1)
    ]  # fmt: skip


def bed(dice: Dice, style: Style) -> Piece:
    """Builds a bed with headboard, blanket and pillows; sometimes for two."""
    width = dice.pick((1.0, 1.4, 1.7)) * dice.between(0.95, 1.05)
    depth, top = dice.between(1.95, 2.15), dice.between(0.45, 0.55)
    x, y = width / 2, depth / 2
    sheet = Material(Texture.FABRIC, (0.8, 0.78, 0.74), (0.7, 0.68, 0.65), 0.05)
    solids = [
        block(-x, x, -y, -y + 0.07, 0, dice.between(0.85, 1.15), dice.pick((style.wood, style.plain()))),
        block(-x, x, -y + 0.07, y, 0.08, 0.28, style.wood),
        block(-x + 0.03, x - 0.03, -y + 0.07, y - 0.03, 0.28, top, sheet),
        block(-x + 0.01, x - 0.01, -y + dice.between(0.65, 1.0), y - 0.005, 0.25, top + 0.04, style.cloth()),
    ]
    pillow = style.plain((0.82, 0.8, 0.77)) if dice.chance(0.5) else style.cloth()
    for side in (-0.5, 0.5) if width > 1.2 else (0.0,):
        solids.append(blob(side * x, -y + 0.33, top + 0.06, min(0.33, x * 0.42), 0.21, 0.11, pillow))
    return Piece("bed", width, depth, 1.0, solids, seat=(y - 0.25, top + 0.04))


def sofa(dice: Dice, style: Style) -> Piece:
    """Builds a sofa or an armchair."""
    seats = dice.pick((1, 2, 2, 3))
    arm = dice.between(0.12, 0.2)
    width, depth = seats * dice.between(0.62, 0.72) + 2 * arm, dice.between(0.82, 0.95)
    x, y = width / 2, depth / 2
    seat_top, back_top, arm_top = dice.between(0.42, 0.47), dice.between(0.78, 0.92), dice.between(0.55, 0.64)
    cover = style.plain()
    cushion = cover._replace(first=darker(cover.first, 1.15))
    solids = [
        block(-x, x, -y, y - 0.03, 0.07, 0.27, cover),
        block(-x + arm, x - arm, -y, -y + 0.22, 0.2, back_top, cover),
        block(-x, -x + arm, -y, y, 0.07, arm_top, cover),
        block(x - arm, x, -y, y, 0.07, arm_top, cover),
    ]
    each = (width - 2 * arm) / seats
    for i in range(seats):
        left = -x + arm + i * each
        solids.append(block(left + 0.008, left + each - 0.008, -y + 0.2, y, 0.27, seat_top, cushion))
    for side in dice.shuffled((-1, 1))[: int(dice.unit() * 3)]:
        px = side * (x - arm - 0.2)
        solids.append(blob(px, -y + 0.3, seat_top + 0.18, 0.2, 0.09, 0.19, style.cloth()))
    return Piece("sofa", width, depth, back_top, solids, seat=(0.05, seat_top))


def chair(dice: Dice, style: Style) -> Piece:
    """Builds a chair with four legs, or an office chair on a column."""
    width, depth = dice.between(0.42, 0.5), dice.between(0.42, 0.5)
    x, y, top, back = width / 2, depth / 2, dice.between(0.43, 0.48), dice.between(0.82, 0.98)
    frame = dice.pick((style.wood, style.wood, style.metal, style.white))
    seat = dice.pick((style.plain(), frame))
    solids = [block(-x, x, -y, y, top - 0.05, top, seat)]
    if dice.chance(0.25):
        solids += [
            pole(0, 0, 0.06, top - 0.05, 0.03, style.metal),
            pole(0, 0, 0.0, 0.06, 0.24, style.metal),
            block(-x * 0.9, x * 0.9, -y, -y + 0.06, top + 0.12, back, seat),
            block(-0.04, 0.04, -y - 0.02, -y, top - 0.05, back - 0.1, style.metal),
        ]
    else:
        solids += _legs(width, depth, top - 0.05, 0.045, frame)
        if dice.chance(0.7):
            solids.append(block(-x, x, -y, -y + 0.04, top, back, seat))
        else:
            solids += [
                block(-x, -x + 0.045, -y, -y + 0.04, top, back, frame),
                block(x - 0.045, x, -y, -y + 0.04, top, back, frame),
                block(-x, x, -y + 0.002, -y + 0.038, back - 0.14, back, frame),
                block(-x, x, -y + 0.002, -y + 0.038, back - 0.3, back - 0.22, frame),
            ]
    return Piece("chair", width, depth, back, solids, seat=(0.0, top))


def dining_table(dice: Dice, style: Style) -> Piece:
    """Builds a table at sitting height, rectangular or round."""
    top = dice.between(0.71, 0.77)
    board = dice.pick((style.wood, style.wood, style.white))
    if dice.chance(0.3):
        radius = dice.between(0.5, 0.65)
        solids = [
            pole(0, 0, top - 0.04, top, radius, board),
            pole(0, 0, 0.03, top - 0.04, 0.05, style.metal),
            pole(0, 0, 0, 0.03, 0.28, style.metal),
        ]
        return Piece("table", 2 * radius, 2 * radius, top, solids)
    width, depth = dice.between(1.1, 1.8), dice.between(0.7, 0.95)
    legs = _legs(width - 0.08, depth - 0.08, top - 0.04, 0.07, dice.pick((board, style.metal)))
    solids = [block(-width / 2, width / 2, -depth / 2, depth / 2, top - 0.045, top, board), *legs]
    return Piece("table", width, depth, top, solids)


def coffee_table(dice: Dice, style: Style) -> Piece:
    """Builds a low table."""
    width, depth, top = dice.between(0.7, 1.1), dice.between(0.5, 0.65), dice.between(0.36, 0.45)
    if dice.chance(0.35):
        radius = depth * 0.7
        solids = [pole(0, 0, top - 0.05, top, radius, style.wood), pole(0, 0, 0, top - 0.05, 0.12, style.metal)]
        return Piece("table", 2 * radius, 2 * radius, top, solids)
    solids = [
        block(-width / 2, width / 2, -depth / 2, depth / 2, top - 0.04, top, style.wood),
        *_legs(width, depth, top - 0.04, 0.05, style.wood),
    ]
    return Piece("table", width, depth, top, solids)


def cabinet(dice: Dice, style: Style, low: bool) -> Piece:
    """Builds a wardrobe, or a sideboard (``low``), with doors and drawers drawn on its front."""
    depth = dice.between(0.4, 0.6)
    width, top = (
        (dice.between(0.5, 1.6), dice.between(0.5, 0.95)) if low else (dice.between(0.8, 1.5), dice.between(1.7, 2.1))
    )  # fmt: skip
    x, y = width / 2, depth / 2
    body = style.fronts._replace(scale=width / max(1, round(width / 0.48)), seed=dice.unit())
    frame = style.wood if body.first == style.wood.first else style.white._replace(first=darker(body.first, 1.05))
    solids = [
        block(-x + 0.02, x - 0.02, -y, y, 0.06, top - 0.03, body),
        block(-x, x, -y, y + 0.02, top - 0.03, top, frame),
        block(-x + 0.04, x - 0.04, -y, y - 0.05, 0, 0.06, style.metal),
    ]
    return Piece("cabinet", width, depth + 0.04, top, solids)


def counter(dice: Dice, style: Style) -> Piece:
    """Builds a kitchen counter, sometimes with wall cupboards above it."""
    width = dice.between(1.4, 2.4)
    x, y = width / 2, 0.3
    body = style.fronts._replace(scale=width / round(width / 0.5), seed=dice.between(0, 0.5))
    stone = Material(Texture.FABRIC, dice.pick(((0.06, 0.06, 0.07), (0.6, 0.58, 0.55))), scale=0.04, gloss=0.5)
    stone = stone._replace(second=darker(stone.first, 1.6))
    solids = [
        block(-x, x, -y, y - 0.03, 0.08, 0.87, body),
        block(-x, x, -y, y - 0.09, 0, 0.08, style.metal),
        block(-x, x, -y, y, 0.87, 0.91, stone),
    ]
    top = 0.91
    if dice.chance(0.5):
        solids.append(block(-x, x, -y, -y + 0.34, 1.42, 2.05, body))
        top = 2.05
    return Piece("cabinet", width, 0.6, top, solids)


def shelf(dice: Dice, style: Style) -> Piece:
    """Builds an open bookcase: a cabinet with books on its boards."""
    width, depth, top = dice.between(0.7, 1.3), dice.between(0.28, 0.36), dice.between(1.2, 2.05)
    x, y, t = width / 2, depth / 2, 0.025
    books = Material(Texture.BOOKS, dice.pick(style.fabrics), dice.pick(style.fabrics), 0.045, 0.03, 0.0, dice.unit())
    rows = max(2, round(top / 0.38))
    step = (top - t) / rows
    solids = [
        block(-x, -x + t, -y, y, 0, top, style.wood),
        block(x - t, x, -y, y, 0, top, style.wood),
        block(-x + t, x - t, -y, -y + 0.015, 0, top, style.wood),
    ]
    for i in range(rows + 1):
        solids.append(block(-x + t, x - t, -y, y - 0.01, i * step, i * step + t, style.wood))
    for i in range(rows):
        if dice.chance(0.8):
            left, right = -x + t, x - t
            if dice.chance(0.4):
                cut = dice.between(0.2, 0.5) * width
                left, right = (left + cut, right) if dice.chance(0.5) else (left, right - cut)
            low = i * step + t
            row = block(left, right, -y + 0.015, y - 0.06, low, low + step * dice.between(0.62, 0.85), books)
            solids.append(row._replace(material=books._replace(seed=dice.unit()), casts=False))
    return Piece("cabinet", width, depth, top, solids)


def plant(dice: Dice, style: Style) -> Piece:
    """Builds a pot with leaves: a bush, or a little tree."""
    radius, pot = dice.between(0.13, 0.2), dice.between(0.22, 0.34)
    green = linear(dice.pick(("3f7a3c", "5a8f46", "2f5f3a", "6f9a3f")))
    leaves = Material(Texture.LEAVES, green, darker(green, 0.35), 0.06, 0.1, 0.0, dice.unit())
    clay = style.plain(dice.pick((linear("b5653f"), (0.72, 0.7, 0.66), style.fabrics[0])), 0.2)
    solids = [pole(0, 0, 0, pot, radius, clay)]
    tall = dice.chance(0.5)
    stem = dice.between(0.35, 0.6) if tall else 0.05
    if tall:
        bark = style.wood._replace(first=linear("6b4a30"))
        solids.append(pole(0, 0, pot, pot + stem + 0.1, 0.025, bark))
    spread = dice.between(0.2, 0.3)
    middle = pot + stem + spread
    for i in range(4):
        angle = 2 * math.pi * (i / 4 + dice.unit() * 0.1)
        reach = spread * dice.between(0.5, 0.8)
        solids.append(
            blob(
                reach * math.cos(angle), reach * math.sin(angle), middle + dice.between(-0.12, 0.12),
                spread * dice.between(0.55, 0.75), spread * dice.between(0.55, 0.75), spread * dice.between(0.6, 0.9),
                leaves._replace(seed=dice.unit()),
            )
        )  # fmt: skip
    solids.append(blob(0, 0, middle + 0.18, spread * 0.7, spread * 0.7, spread * 0.8, leaves))
    return Piece("plant", 2 * spread + 0.1, 2 * spread + 0.1, middle + 0.3, solids)


def box(dice: Dice, style: Style) -> Piece:
    """Builds a carton, a chest or a toy block; cartons come stacked at times."""
    width, depth, height = dice.between(0.25, 0.55), dice.between(0.25, 0.5), dice.between(0.2, 0.45)
    card = linear(dice.pick(("b58a57", "a87b4a", "c29a68")))
    carton = Material(Texture.CARTON, card, darker(card, 0.7), 0.3, 0.02, 0.0, dice.unit())
    painted = style.cloth()._replace(gloss=0.1)
    material = carton if dice.chance(0.6) else painted
    solids = [block(-width / 2, width / 2, -depth / 2, depth / 2, 0, height, material)]
    if dice.chance(0.3):
        w, d, h = width * 0.7, depth * 0.7, height * 0.7
        shift = width * dice.between(-0.12, 0.12)
        top = block(shift - w / 2, shift + w / 2, -d / 2, d / 2, height, height + h, material)
        solids.append(top)
        height += h
    return Piece("box", width, depth, height, solids)


def ball(dice: Dice, style: Style) -> Piece:
    """Builds a ball, from a toy's size to a gymnast's."""
    radius = dice.pick((dice.between(0.11, 0.2), dice.between(0.24, 0.36)))
    bright = linear(dice.pick(("d8402f", "2f6fc0", "e8b52a", "3a9a5a", "e57fa0", "f0efe8")))
    pattern = dice.pick((Texture.STRIPES, Texture.STRIPES, Texture.PLAIN, Texture.CHECKER))
    skin = Material(pattern, bright, dice.pick(((0.85, 0.83, 0.8), darker(bright, 0.4))), radius * 0.9, 0.5)
    yaw, tilt = dice.between(0, 2 * math.pi), dice.between(0.2, 1.3)
    c, s, ct, st = math.cos(yaw), math.sin(yaw), math.cos(tilt), math.sin(tilt)
    axes = ((c, -s * ct, s * st), (s, c * ct, -c * st), (0.0, st, ct))
    solids = [Solid(Shape.ROUND, (0, 0, radius), (radius, radius, radius), skin, axes)]
    return Piece("ball", 2 * radius, 2 * radius, 2 * radius, solids)
