"""Things on walls, ceiling and floor, and lamps; they are built like furniture.

Origins are in the plane of the wall or under the ceiling, at the piece's lowest point unless its docstring says
otherwise.
"""

from __future__ import annotations

from atrc.data.rooms.furniture import blob, block, pole
from atrc.data.rooms.palettes import Style, darker, linear
from atrc.data.rooms.scene import Colour, Dice, Material, Piece, Texture

__all__ = ["ceiling_lamp", "door", "floor_lamp", "picture", "rug", "table_lamp", "television", "window"]


def television(dice: Dice, style: Style, stand: bool) -> Piece:
    """Builds a flat screen, off or on, for a wall or on a foot (``stand``)."""
    width = dice.between(0.85, 1.35)
    height = width * 0.58
    base = 0.07 if stand else 0.0
    case = style.metal._replace(first=(0.02, 0.02, 0.022), second=(0.015, 0.015, 0.016))
    on = dice.chance(0.5)
    first, second = dice.pick(style.fabrics), dice.pick(style.fabrics)
    screen = Material(Texture.SCREEN, first, second, width, 0.8, 0.9 if on else 0.0, dice.unit())
    solids = [
        block(-width / 2, width / 2, -0.03, 0.02, base, base + height, case),
        block(-width / 2 + 0.025, width / 2 - 0.025, 0.02, 0.024, base + 0.03, base + height - 0.025, screen),
    ]
    if stand:
        solids += [
            block(-0.03, 0.03, -0.03, 0.01, 0, base, case),
            block(-0.22, 0.22, -0.1, 0.1, 0, 0.015, case),
        ]
    return Piece("tv", width, 0.06, base + height, solids)


def _shade(dice: Dice, style: Style) -> Material:
    colour: Colour = dice.pick(((1.0, 0.86, 0.62), (1.0, 0.92, 0.78), (1.0, 0.8, 0.55)))
    return Material(Texture.PLAIN, colour, darker(colour, 0.92), 0.2, 0.0, dice.between(0.7, 1.1))


def floor_lamp(dice: Dice, style: Style) -> Piece:
    """Builds a lamp as tall as a person."""
    top = dice.between(1.45, 1.75)
    radius, height = dice.between(0.16, 0.24), dice.between(0.22, 0.32)
    shade = _shade(dice, style)
    solids = [
        pole(0, 0, 0, 0.03, 0.15, style.metal),
        pole(0, 0, 0.03, top - height, 0.015, style.metal),
        blob(0, 0, top - height / 2, radius, radius, radius, shade)
        if dice.chance(0.3)
        else pole(0, 0, top - height, top, radius, shade),
    ]
    return Piece("lamp", 2 * radius, 2 * radius, top, solids)


def table_lamp(dice: Dice, style: Style) -> Piece:
    """Builds a lamp for a table or a sideboard."""
    top, radius = dice.between(0.4, 0.55), dice.between(0.12, 0.17)
    foot = style.plain(gloss=0.4)
    solids = [
        blob(0, 0, 0.11, 0.075, 0.075, 0.11, foot),
        pole(0, 0, 0.2, top - 0.2, 0.012, style.metal),
        pole(0, 0, top - 0.22, top, radius, _shade(dice, style)),
    ]
    return Piece("lamp", 2 * radius, 2 * radius, top, solids)


def ceiling_lamp(dice: Dice, style: Style) -> Piece:
    """Builds a lamp that hangs from its origin."""
    drop = dice.between(0.06, 0.5)
    shade = _shade(dice, style)
    radius = dice.between(0.14, 0.24)
    bowl = (
        blob(0, 0, -drop, radius, radius, radius * 0.6, shade)
        if dice.chance(0.5)
        else pole(0, 0, -drop - 0.08, -drop + 0.08, radius, shade)
    )
    return Piece("lamp", 2 * radius, 2 * radius, 0.1, [bowl, pole(0, 0, -drop, 0, 0.012, style.metal)])


def door(dice: Dice, style: Style) -> Piece:
    """Builds a door in its frame."""
    width, height = dice.between(0.85, 1.0), dice.between(1.98, 2.1)
    x = width / 2
    colour = dice.pick((style.wood.first, style.white.first, style.fabrics[0]))
    leaf = Material(Texture.PANELS, colour, darker(colour, 0.6), height, 0.15, 0.0, 1.0)
    knob = Material(Texture.PLAIN, (0.7, 0.55, 0.25), (0.6, 0.45, 0.2), 0.1, 0.9)
    solids = [
        block(-x - 0.07, x + 0.07, 0, 0.045, 0, height + 0.07, leaf),
        blob(dice.pick((-1, 1)) * (x - 0.08), 0.07, 1.0, 0.03, 0.035, 0.03, knob),
    ]
    return Piece("door", width + 0.14, 0.06, height + 0.07, solids)


def window(dice: Dice, style: Style) -> Piece:
    """Builds a window with a view, a frame and a sill; its origin is the middle of its lower edge."""
    width, height = dice.between(0.9, 1.9), dice.between(1.0, 1.35)
    x, t = width / 2, 0.06
    sky = linear(dice.pick(("9cc4e8", "c4d8e8", "e8c8a0", "a8cdf0", "d8dde2")))
    ground = linear(dice.pick(("6f8f50", "8a9a6a", "7a8478", "5f7f52")))
    view = Material(Texture.WINDOW, sky, ground, width / dice.pick((1, 2, 2, 3)), 0.3, 1.25, dice.unit())
    solids = [
        block(-x - t, x + t, 0, 0.04, -t, height + t, view),
        block(-x - 2 * t, x + 2 * t, 0, 0.14, -2 * t, -t, style.white),
    ]
    if dice.chance(0.45):
        curtain = style.plain()._replace(texture=Texture.STRIPES, scale=0.11)
        curtain = curtain._replace(second=darker(curtain.first, 0.7))
        fold = dice.between(0.2, 0.35)
        for side in (-1, 1):
            inner, outer = side * (x - fold * 0.4), side * (x + fold * 0.7)
            solids.append(block(min(inner, outer), max(inner, outer), 0.06, 0.13, -t - 0.25, height + 0.15, curtain))
    return Piece("window", width + 0.5, 0.14, height, solids)


def picture(dice: Dice, style: Style) -> Piece:
    """Builds a framed picture; its origin is the middle of its lower edge."""
    width, height = dice.between(0.4, 1.0), dice.between(0.4, 0.8)
    x = width / 2
    art = Material(
        Texture.PAINTING, dice.pick(style.fabrics), linear(dice.pick(("d9a441", "c8553d", "3f6f8f", "e8dcc0"))),
        dice.pick((0.0, 1.0)), 0.1, 0.0, dice.unit(),
    )  # fmt: skip
    solids = [
        block(-x, x, 0, 0.028, 0, height, art),
    ]
    return Piece("picture", width, 0.03, height, solids)


def rug(dice: Dice, style: Style) -> Piece:
    """Builds a rug, rectangular or round."""
    width, depth = dice.between(1.3, 2.6), dice.between(1.0, 1.8)
    first, second = dice.pick(style.fabrics), dice.pick([*style.fabrics, (0.75, 0.7, 0.62)])
    pattern = dice.pick((Texture.ORIENTAL, Texture.ORIENTAL, Texture.STRIPES, Texture.FABRIC, Texture.CHECKER))
    material = Material(pattern, first, second, dice.between(0.2, 0.35), 0.0, 0.0, dice.unit())
    if dice.chance(0.25):
        return Piece("rug", depth, depth, 0.012, [pole(0, 0, 0, 0.012, depth / 2, material)])
    return Piece(
        "rug", width, depth, 0.012, [block(-width / 2, width / 2, -depth / 2, depth / 2, 0, 0.012, material)]
    )
