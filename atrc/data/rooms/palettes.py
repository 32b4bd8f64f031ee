"""Colour schemes, so that the things in one room match."""

from __future__ import annotations

from dataclasses import dataclass

from atrc.data.rooms.scene import Colour, Dice, Material, Texture

__all__ = ["Style", "darker", "linear", "make_style"]


def linear(code: str) -> Colour:
    """Converts a hexadecimal sRGB colour such as ``"c08040"`` to linear RGB."""
    red, green, blue = (int(code[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return (_decode(red), _decode(green), _decode(blue))


def _decode(value: float) -> float:
    """Applies the sRGB transfer function, from display values to light."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def darker(colour: Colour, factor: float) -> Colour:
    """Returns the colour times ``factor``, at most 1."""
    return (min(1, colour[0] * factor), min(1, colour[1] * factor), min(1, colour[2] * factor))


# wall, accent wall, floor, wood, three fabrics
_SCHEMES = (
    ("ece4d6", "b9c4b1", "b08d62", "8f6238", ("5f7f86", "d09a5b", "e8dcc8")),
    ("dfe6ea", "7f9bb0", "a9825a", "c79a66", ("38556e", "d8b365", "f0ece2")),
    ("f0e2d2", "c9825f", "8a5f3f", "6d4527", ("a8483a", "e0b78a", "4e5f58")),
    ("e6e8df", "8ea58a", "c9ab82", "a97c50", ("4d6b4f", "c8a45a", "efe9da")),
    ("f3e9e6", "c99aa0", "b99a78", "e4d3b8", ("9a5a6c", "d9c2b0", "6f7d8f")),
    ("dcdad4", "6f7478", "7a6a5c", "4f3a2c", ("33373d", "b5813f", "c8c3b8")),
    ("f4ecd2", "e2b557", "a67c52", "b98a54", ("2f5d6b", "cf5f3c", "f1e6c8")),
    ("e4e0ec", "8d86ad", "b39c8a", "d6c2a6", ("5a4f7c", "c0a5c9", "ece7df")),
    ("e9efe9", "5f9a94", "bda07a", "946b43", ("1f6a66", "e58f65", "f4efe4")),
    ("f1ede6", "d6cfc2", "d8c3a0", "cbb08a", ("7a8b95", "b7a58f", "444b52")),
)

_FLOORS = (Texture.PLANKS, Texture.PLANKS, Texture.PLANKS, Texture.TILES, Texture.CHECKER, Texture.FABRIC)
_WALLS = (Texture.PLAIN, Texture.PLAIN, Texture.PLAIN, Texture.STRIPES, Texture.DOTS, Texture.PANELS)
_CLOTH = (Texture.FABRIC, Texture.FABRIC, Texture.STRIPES, Texture.CHECKER, Texture.DOTS)


@dataclass
class Style:
    """The look of one room: the materials of its faces and of its furniture."""

    faces: list[Material]
    wood: Material
    fronts: Material
    fabrics: tuple[Colour, ...]
    white: Material
    metal: Material
    dice: Dice

    def cloth(self, colour: Colour | None = None) -> Material:
        """Returns a fabric in the room's colours, sometimes patterned."""
        first = colour or self.dice.pick(self.fabrics)
        second = self.dice.pick([*self.fabrics, (0.8, 0.78, 0.74)])
        texture = self.dice.pick(_CLOTH)
        return Material(texture, first, second, self.dice.between(0.06, 0.16), 0.02, 0.0, self.dice.unit())

    def plain(self, colour: Colour | None = None, gloss: float = 0.05) -> Material:
        """Returns a fabric of one colour."""
        first = colour or self.dice.pick(self.fabrics)
        return Material(Texture.FABRIC, first, darker(first, 0.8), 0.05, gloss, 0.0, self.dice.unit())


def make_style(dice: Dice) -> Style:
    """Returns a random scheme with random patterns on walls and floor."""
    wall, accent, floor, wood, fabrics = dice.pick(_SCHEMES)
    wall_colour = _tint(dice, linear(wall))
    papered = dice.pick(_WALLS)
    wall_material = Material(
        papered, wall_colour, darker(wall_colour, dice.between(0.78, 0.9)), dice.between(0.2, 0.5), 0.02
    )
    faces = [wall_material] * 4
    if dice.chance(0.6):
        accent_colour = _tint(dice, linear(accent))
        texture = dice.pick((Texture.PLAIN, Texture.PLAIN, Texture.STRIPES, Texture.DOTS, Texture.TILES))
        faces[int(dice.unit() * 4)] = Material(
            texture, accent_colour, darker(accent_colour, 1.25), dice.between(0.18, 0.4), 0.03
        )
    floor_colour = _tint(dice, linear(floor))
    texture = dice.pick(_FLOORS)
    scale = {Texture.PLANKS: 0.16, Texture.TILES: 0.45, Texture.CHECKER: 0.5, Texture.FABRIC: 0.1}[texture]
    gloss = 0.03 if texture is Texture.FABRIC else dice.between(0.1, 0.4)
    second = darker(floor_colour, dice.between(0.45, 0.7))
    faces.append(Material(texture, floor_colour, second, scale * dice.between(0.8, 1.2), gloss, 0.0, dice.unit()))
    ceiling = (0.82, 0.81, 0.79)
    faces.append(Material(Texture.PLAIN, ceiling, darker(ceiling, 0.96), 0.5, 0.0))

    wood_colour = _tint(dice, linear(wood))
    wooden = Material(Texture.WOOD, wood_colour, darker(wood_colour, 0.6), 0.09, 0.15, 0.0, dice.unit())
    white = Material(Texture.PLAIN, (0.78, 0.77, 0.74), (0.7, 0.69, 0.66), 0.3, 0.12)
    painted = darker(linear(accent), dice.between(0.6, 1.1))
    front = dice.pick((wood_colour, wood_colour, painted, (0.76, 0.75, 0.72)))
    return Style(
        faces=faces,
        wood=wooden,
        fronts=Material(Texture.DRAWERS, front, darker(front, 0.55), 0.4, 0.12, 0.0, dice.unit()),
        fabrics=tuple(_tint(dice, linear(code)) for code in fabrics),
        white=white,
        metal=Material(Texture.PLAIN, (0.16, 0.16, 0.17), (0.12, 0.12, 0.13), 0.1, 0.6),
        dice=dice,
    )


def _tint(dice: Dice, colour: Colour) -> Colour:
    """Returns a slightly different colour."""
    level = dice.between(0.85, 1.1)
    red, green, blue = (min(0.95, c * level * dice.between(0.93, 1.07)) for c in colour)
    return (red, green, blue)
