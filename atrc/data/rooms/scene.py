"""The parts of a scene: solids with materials, grouped into pieces (each one instance) inside a room.

World coordinates are metres, x and y along the room's walls and z up; the room is ``[0, width] x [0, depth] x
[0, height]``. A piece is built about its own origin on the floor, its back towards -y, and then turned about the
vertical and moved to its place. Colours are linear RGB.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple, TypeVar

import numpy as np

from atrc.data.rooms.labels import CLASS_INDEX

__all__ = [
    "ROOM_FACES",
    "Colour",
    "Dice",
    "Material",
    "Piece",
    "Placed",
    "Room",
    "Scene",
    "Shape",
    "Solid",
    "Texture",
    "pack",
]

T = TypeVar("T")
Colour = tuple[float, float, float]

ROOM_FACES = 6
"""The first solids of every scene: the inner faces -x, +x, -y, +y (walls), -z (floor), +z (ceiling)."""


class Shape(IntEnum):
    """The shape of a solid in its local frame, in which its half sizes are 1."""

    BOX = 0
    ROUND = 1  # an ellipsoid, drawn out along z into a capsule by `Solid.stretch`
    CYLINDER = 2  # about z, flat ends


class Texture(IntEnum):
    """The pattern by which a material mixes its two colours; see `textures`."""

    PLAIN = 0
    FABRIC = 1
    STRIPES = 2
    CHECKER = 3
    PLANKS = 4
    WOOD = 5
    TILES = 6
    DOTS = 7
    PANELS = 8
    BOOKS = 9
    PAINTING = 10
    WINDOW = 11
    SCREEN = 12
    HEAD = 13
    CARTON = 14
    DRAWERS = 15
    ORIENTAL = 16
    LEAVES = 17
    SLEEVE = 18


class Material(NamedTuple):
    """Colours and their pattern.

    Attributes:
        texture: The pattern.
        first, second: The two colours.
        scale: Period of the pattern in metres.
        gloss: Strength of the highlight, 0..1.
        glow: Light given off, as a multiple of the colour.
        seed: Phase of the pattern, 0..1.
    """

    texture: Texture
    first: Colour
    second: Colour = (0.0, 0.0, 0.0)
    scale: float = 0.2
    gloss: float = 0.05
    glow: float = 0.0
    seed: float = 0.0


class Solid(NamedTuple):
    """One convex solid of a piece.

    Attributes:
        shape: Shape of the solid.
        centre: Centre in the piece's frame, metres.
        half: Half sizes along its own axes, metres.
        material: Look of the surface.
        axes: Axes of the solid as columns in the piece's frame, row by row; None = the piece's axes. Boxes and
            cylinders stay upright.
        stretch: Half the length of the straight part of a `Shape.ROUND`, as a multiple of ``half[2]``.
        part: Human part, 0 = none.
        casts: Whether it casts a shadow. Small solids, and solids inside of others, need not.
    """

    shape: Shape
    centre: tuple[float, float, float]
    half: tuple[float, float, float]
    material: Material
    axes: tuple[tuple[float, float, float], ...] | None = None
    stretch: float = 0.0
    part: int = 0
    casts: bool = True


@dataclass
class Piece:
    """A thing: its class, its footprint ``width x depth`` about the origin, its height, and its solids."""

    name: str
    width: float
    depth: float
    height: float
    solids: list[Solid]
    seat: tuple[float, float] | None = None
    """Place where a person can sit, (y of the hips, z of the seat), or None."""


@dataclass
class Placed:
    """A piece at its place: its origin in the room, and its turn about the vertical in radians."""

    piece: Piece
    x: float
    y: float
    z: float = 0.0
    yaw: float = 0.0
    shadow: bool = True

    @property
    def extent(self) -> tuple[float, float]:
        """Returns the half sizes along x and y of the rectangle around the turned footprint."""
        c, s = abs(math.cos(self.yaw)), abs(math.sin(self.yaw))
        w, d = self.piece.width / 2, self.piece.depth / 2
        return c * w + s * d, s * w + c * d


@dataclass
class Room:
    """Sizes in metres and the looks of the six faces (`ROOM_FACES`)."""

    width: float
    depth: float
    height: float
    faces: list[Material]


@dataclass
class Scene:
    """A room as arrays over its N solids, the six faces of the room first.

    Attributes:
        shape: ``(N,)`` `Shape`.
        centre, half: ``(N, 3)`` metres.
        axes: ``(N, 3, 3)``, columns are the solid's axes in the world.
        to_local: ``(N, 3, 3)``: world directions to the frame in which the half sizes are 1.
        stretch: ``(N,)`` see `Solid`.
        semseg, part, instance: ``(N,)`` labels.
        casts: ``(N,)`` bool: casts a shadow.
        pieces: First solid and one past the last of every piece that casts shadows.
        texture, scale, gloss, glow, seed: ``(N,)`` properties of the solids' materials.
        first, second: ``(3, N)`` colours of the materials.
        room: ``(width, depth, height)``.
        footprints: ``(K, 5)``: centre x and y, half sizes and top of the things on the floor.
    """

    shape: np.ndarray
    centre: np.ndarray
    half: np.ndarray
    axes: np.ndarray
    to_local: np.ndarray
    stretch: np.ndarray
    semseg: np.ndarray
    part: np.ndarray
    instance: np.ndarray
    casts: np.ndarray
    pieces: list[tuple[int, int]]
    texture: np.ndarray
    first: np.ndarray
    second: np.ndarray
    scale: np.ndarray
    gloss: np.ndarray
    glow: np.ndarray
    seed: np.ndarray
    room: tuple[float, float, float]
    footprints: np.ndarray


def pack(room: Room, placed: Sequence[Placed]) -> Scene:
    """Returns the arrays of a room with its pieces; instance ids count up from the room's faces."""
    half_room = (room.width / 2, room.depth / 2, room.height / 2)
    names = ("wall", "wall", "wall", "wall", "floor", "ceiling")
    solids = [Solid(Shape.BOX, half_room, half_room, face) for face in room.faces]
    semseg = [CLASS_INDEX[name] for name in names]
    instance = list(range(ROOM_FACES))
    places = [(0.0, 0.0, 0.0, 0.0)] * ROOM_FACES
    pieces = []
    for number, item in enumerate(placed, start=ROOM_FACES):
        start = len(solids)
        solids += item.piece.solids
        count = len(item.piece.solids)
        semseg += [CLASS_INDEX[item.piece.name]] * count
        instance += [number] * count
        places += [(item.x, item.y, item.z, item.yaw)] * count
        if item.shadow:
            pieces.append((start, start + count))

    # one table is converted at once, since NumPy takes as long to inspect a list as to read it
    table = np.array(
        [
            (*s.centre, *s.half, s.stretch, s.part, s.casts, int(s.shape), *place, *_numbers(s.material))
            for s, place in zip(solids, places, strict=True)
        ]
    )
    look = table[:, 14:].astype(np.float32)
    cosine, sine = np.cos(table[:, 13]), np.sin(table[:, 13])
    axes = np.zeros((len(solids), 3, 3))
    axes[:, 0, 0], axes[:, 0, 1] = cosine, -sine
    axes[:, 1, 0], axes[:, 1, 1] = sine, cosine
    axes[:, 2, 2] = 1
    centre = np.einsum("nij,nj->ni", axes, table[:, :3]) + table[:, 10:13]
    own = [i for i, solid in enumerate(solids) if solid.axes]
    if own:
        axes[own] = axes[own] @ np.array([solids[i].axes for i in own])
    half = table[:, 3:6]
    standing = [item for item in placed if item.shadow and item.z < 0.05]
    footprints = [(item.x, item.y, *item.extent, item.piece.height) for item in standing]
    return Scene(
        shape=table[:, 9].astype(np.int8),
        centre=centre,
        half=half,
        axes=axes,
        to_local=axes.transpose(0, 2, 1) / half[:, :, None],
        stretch=table[:, 6],
        semseg=np.array(semseg, np.uint8),
        part=table[:, 7].astype(np.uint8),
        instance=np.array(instance, np.int32),
        casts=table[:, 8] > 0,
        pieces=pieces,
        texture=look[:, 0].astype(np.uint8),
        first=look[:, 1:4].T.copy(),
        second=look[:, 4:7].T.copy(),
        scale=look[:, 7].copy(),
        gloss=look[:, 8].copy(),
        glow=look[:, 9].copy(),
        seed=look[:, 10].copy(),
        room=(room.width, room.depth, room.height),
        footprints=np.array(footprints, np.float32).reshape(-1, 5),
    )


def _numbers(material: Material) -> tuple[float, ...]:
    """Returns a material as one row of numbers."""
    texture, first, second, *rest = material
    return (int(texture), *first, *second, *rest)


@dataclass
class Dice:
    """Random numbers for the many small decisions of a layout, drawn from a generator in blocks.

    A single draw from a NumPy generator costs as much as a hundred from a list.
    """

    rng: np.random.Generator
    _block: list[float] = field(default_factory=list)

    def unit(self) -> float:
        """Draws a number uniformly from [0, 1)."""
        if not self._block:
            self._block = self.rng.random(1024).tolist()
        return self._block.pop()

    def units(self, count: int) -> np.ndarray:
        """Draws ``(count,)`` numbers, the same that ``count`` calls of `unit` would return."""
        while len(self._block) < count:
            self._block = self.rng.random(1024).tolist() + self._block
        taken = self._block[-count:]
        del self._block[-count:]
        return np.array(taken[::-1])

    def between(self, low: float, high: float) -> float:
        """Draws a number uniformly from [low, high)."""
        return low + (high - low) * self.unit()

    def chance(self, probability: float) -> bool:
        """Returns True with this probability."""
        return self.unit() < probability

    def pick(self, options: Sequence[T]) -> T:
        """Draws one of the options, each equally likely."""
        return options[int(self.unit() * len(options))]

    def shuffled(self, options: Sequence[T]) -> list[T]:
        """Returns the options in random order."""
        return sorted(options, key=lambda _: self.unit())
