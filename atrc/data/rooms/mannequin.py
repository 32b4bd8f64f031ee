"""The persons: jointed mannequins of ellipsoids and capsules, dressed, in a few poses.

Angles are in radians, in the body's own frame: x to the body's right, y ahead, z up. A limb's swing leans
it forward, its spread leans it outward; all zero is standing with the arms down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from atrc.data.rooms.palettes import darker, linear
from atrc.data.rooms.scene import Dice, Material, Piece, Shape, Solid, Texture

__all__ = ["POSES", "mannequin"]

Vector = tuple[float, float, float]

HEAD, TORSO, UPPER_ARM, LOWER_ARM, UPPER_LEG, LOWER_LEG = range(1, 7)

POSES = ("standing", "walking", "waving", "arms raised", "arms wide", "hands on hips", "seated")

_SKIN = ("f0c8a8", "e0ac88", "c68a62", "9a6240", "6b4128", "f4d6c0")
_HAIR = ("2a1c14", "4a3020", "7a4f2a", "b98a4a", "8a8580", "15120f", "a04a2a")
_SHIRT = ("c8453a", "2f6f9f", "e8b84a", "3f8f6a", "8f5aa0", "e8e4da", "2f3440", "d8788a", "5f9fb8", "e07a3a")
_TROUSERS = ("2f3f5f", "3a3a40", "8a7a5f", "5f5040", "1f2530", "6a7a8a", "7f3a3a", "b8ac94")


@dataclass
class _Limb:
    """An arm or leg: swing and spread of the upper part, and the bend of the joint below it."""

    swing: float = 0.0
    spread: float = 0.0
    bend: float = 0.0
    inward: float = 0.0


def mannequin(dice: Dice, pose: str, seat: float = 0.0) -> Piece:
    """Returns a person at the origin that looks along +y, in one of the `POSES`.

    Args:
        dice: Source of stature, clothes and the pose's details.
        pose: One of `POSES`.
        seat: Height in metres of the seat of a ``"seated"`` person, whose hips are above the origin.
    """
    size = dice.between(1.55, 1.88) / 1.75
    girth = dice.between(0.92, 1.15) * size
    arms, legs, lean = _pose(dice, pose)
    skin_colour = linear(dice.pick(_SKIN))
    skin = Material(Texture.PLAIN, skin_colour, darker(skin_colour, 0.92), 0.1, 0.12)
    shirt_colour, trouser_colour = linear(dice.pick(_SHIRT)), linear(dice.pick(_TROUSERS))
    pattern = dice.pick((Texture.FABRIC, Texture.FABRIC, Texture.STRIPES))
    shirt = Material(pattern, shirt_colour, dice.pick(((0.75, 0.73, 0.7), darker(shirt_colour, 0.45))), 0.09, 0.02)
    if pattern is Texture.FABRIC:
        shirt = shirt._replace(second=darker(shirt_colour, 0.8))
    trousers = Material(Texture.FABRIC, trouser_colour, darker(trouser_colour, 0.75), 0.05, 0.02)
    shoes = Material(Texture.PLAIN, (0.05, 0.045, 0.04), (0.04, 0.04, 0.04), 0.1, 0.3)
    sleeve = skin
    if dice.chance(0.5):
        # the hand begins 7 cm before the end of the forearm
        sleeve = Material(Texture.SLEEVE, shirt_colour, skin_colour, 0.07 * size, 0.05)
    shin = trousers if dice.chance(0.75) else skin

    upper_leg, lower_leg = 0.43 * size, 0.42 * size
    foot_radius = 0.05 * size
    solids: list[Solid] = []
    hip_height = _hip_height(legs, upper_leg, lower_leg, foot_radius)
    if pose == "seated":
        hip_height = seat + 0.085 * girth
    hips = (0.0, 0.0, hip_height)
    up = (0.0, math.sin(lean), math.cos(lean))
    chest, neck, crown = (_along(hips, up, d * size) for d in (0.34, 0.53, 0.70))
    solids.append(_capsule(hips, _along(hips, up, 0.1 * size), 0.155 * girth, 0.115 * girth, trousers, TORSO))
    solids.append(_capsule(_along(hips, up, 0.14 * size), chest, 0.165 * girth, 0.115 * girth, shirt, TORSO))
    solids.append(_capsule(_along(chest, up, 0.06 * size), neck, 0.05 * size, 0.05 * size, skin, HEAD, casts=False))
    head_turn = dice.between(-0.6, 0.6)
    hair = Material(
        Texture.HEAD, skin_colour, linear(dice.pick(_HAIR)), 0.1 * size, 0.1, 0.0, dice.pick((0.0, 0.5, 1.0))
    )
    axes = ((math.cos(head_turn), -math.sin(head_turn), 0.0), (math.sin(head_turn), math.cos(head_turn), 0.0),
            (0.0, 0.0, 1.0))  # fmt: skip
    solids.append(Solid(Shape.ROUND, crown, (0.083 * size, 0.1 * size, 0.122 * size), hair, axes, 0.0, HEAD))

    for side, limb in zip((-1, 1), arms, strict=True):
        shoulder = _along((side * 0.185 * girth, chest[1], chest[2]), up, 0.09 * size)
        elbow = _along(shoulder, _direction(side, limb.swing, limb.spread), 0.28 * size)
        hand = _along(elbow, _direction(side, limb.swing + limb.bend, limb.spread - limb.inward), 0.31 * size)
        solids.append(_capsule(shoulder, elbow, 0.056 * girth, 0.056 * girth, shirt, UPPER_ARM))
        solids.append(_capsule(elbow, hand, 0.046 * girth, 0.046 * girth, sleeve, LOWER_ARM))
    for side, limb in zip((-1, 1), legs, strict=True):
        joint = (side * 0.095 * girth, 0.0, hip_height - 0.02)
        knee = _along(joint, _direction(side, limb.swing, limb.spread), upper_leg)
        ankle = _along(knee, _direction(side, limb.swing - limb.bend, limb.spread), lower_leg)
        toe = (ankle[0] + side * 0.02, ankle[1] + 0.13 * size, ankle[2] - 0.01)
        solids.append(_capsule(joint, knee, 0.085 * girth, 0.085 * girth, trousers, UPPER_LEG))
        solids.append(_capsule(knee, ankle, 0.06 * girth, 0.06 * girth, shin, LOWER_LEG))
        solids.append(_capsule(ankle, toe, foot_radius, foot_radius, shoes, LOWER_LEG, casts=False))
    width = 1.5 * size if pose in ("arms wide", "waving", "arms raised") else 0.8
    depth = 0.9 if pose in ("walking", "seated") else 0.5
    return Piece("person", width, depth, crown[2] + 0.12 * size, solids)


def _pose(dice: Dice, pose: str) -> tuple[list[_Limb], list[_Limb], float]:
    """Returns arms, legs and the lean of the trunk."""

    def jitter(width: float = 0.12) -> float:
        return dice.between(-width, width)

    arms = [_Limb(jitter(), 0.14 + jitter(0.06), 0.2 + jitter(), 0.05) for _ in range(2)]
    legs = [_Limb(jitter(0.06), 0.05 + jitter(0.03), abs(jitter(0.06))) for _ in range(2)]
    lean = jitter(0.04)
    if pose == "walking":
        stride = dice.between(0.3, 0.5) * dice.pick((-1, 1))
        legs = [_Limb(stride, 0.02, 0.1), _Limb(-stride * 0.8, 0.02, 0.25)]
        arms = [_Limb(-stride, 0.12, 0.45), _Limb(stride, 0.12, 0.45)]
    elif pose == "waving":
        raised = _Limb(0.1 + jitter(), 2.2 + jitter(0.3), 0.1, -dice.between(0.3, 0.8))
        arms = [raised, arms[1]] if dice.chance(0.5) else [arms[0], raised]
    elif pose == "arms raised":
        arms = [_Limb(jitter(0.2), 2.6 + jitter(0.3), jitter(0.2), dice.between(-0.3, 0.1)) for _ in range(2)]
    elif pose == "arms wide":
        arms = [_Limb(jitter(0.2), 1.5 + jitter(0.25), 0.1, dice.between(-0.2, 0.2)) for _ in range(2)]
    elif pose == "hands on hips":
        arms = [_Limb(-0.25, 0.75 + jitter(0.1), 0.3, 1.75) for _ in range(2)]
    elif pose == "seated":
        legs = [_Limb(1.45 + jitter(0.05), 0.1 + abs(jitter()), 1.45 + jitter(0.15)) for _ in range(2)]
        arms = [_Limb(0.45 + jitter(), 0.1, 0.75 + jitter(0.2), 0.15) for _ in range(2)]
        lean = -0.08 + jitter(0.06)
    return arms, legs, lean


def _hip_height(legs: list[_Limb], upper: float, lower: float, foot: float) -> float:
    """Returns the height of the hips at which the lower foot stands on the floor."""
    drops = [
        -_direction(1, limb.swing, limb.spread)[2] * upper
        - _direction(1, limb.swing - limb.bend, limb.spread)[2] * lower
        for limb in legs
    ]
    return max(drops) + foot + 0.03


def _direction(side: int, swing: float, spread: float) -> Vector:
    """Returns the unit vector of a limb, which hangs down at zero angles; ``side`` is -1 (left) or 1 (right)."""
    return (
        side * math.sin(spread),
        math.sin(swing) * math.cos(spread),
        -math.cos(swing) * math.cos(spread),
    )


def _along(start: Vector, direction: Vector, distance: float) -> Vector:
    return (
        start[0] + direction[0] * distance,
        start[1] + direction[1] * distance,
        start[2] + direction[2] * distance,
    )


def _capsule(
    start: Vector, end: Vector, rx: float, ry: float, material: Material, part: int, casts: bool = True
) -> Solid:
    """Returns a capsule whose straight part goes from ``start`` to ``end``; its section has half sizes rx and ry."""
    dx, dy, dz = end[0] - start[0], end[1] - start[1], end[2] - start[2]
    length = math.sqrt(dx * dx + dy * dy + dz * dz)
    zx, zy, zz = dx / length, dy / length, dz / length
    # the section's x axis is as close to the body's as the limb allows
    if abs(zx) < 0.9:
        xx, xy, xz = 1 - zx * zx, -zx * zy, -zx * zz
    else:
        xx, xy, xz = -zy * zx, 1 - zy * zy, -zy * zz
    norm = math.sqrt(xx * xx + xy * xy + xz * xz)
    xx, xy, xz = xx / norm, xy / norm, xz / norm
    yx, yy, yz = zy * xz - zz * xy, zz * xx - zx * xz, zx * xy - zy * xx
    cap = min(rx, ry)
    middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, (start[2] + end[2]) / 2)
    axes = ((xx, yx, zx), (xy, yy, zy), (xz, yz, zz))
    return Solid(Shape.ROUND, middle, (rx, ry, cap), material, axes, length / 2 / cap, part, casts)
