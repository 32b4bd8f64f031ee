"""Procedural textures, which mix a solid's two colours at every point.

Every pattern is a function of metric surface coordinates, so that it has the same size on a chair and on a wall.
Patterns finer than a pixel fade to their mean.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from atrc.data.rooms.raycast import Surface, dot, pick
from atrc.data.rooms.scene import ROOM_FACES, Scene, Texture

__all__ = ["albedo"]

_GRAIN = 256

_SKIRTING = 0.09
"""Height of the skirting boards, metres."""


@dataclass
class _Patch:
    """The points of one texture: their coordinates on the surface, and the materials of their solids.

    Attributes:
        u, v: ``(P,)`` metres from the middle of the face.
        half_u, half_v: ``(P,)`` half sizes of the face.
        scale, seed: ``(P,)`` properties of the material.
        first, second: ``(3, P)`` colours of the material.
        footprint: ``(P,)`` size of a pixel on the surface, metres.
        front: ``(P,)`` whether the face looks ahead or back along the solid's y axis.
        local: ``(3, P)`` in the solid's axes.
        reach: ``(P,)`` half the length of a capsule's straight part, metres.
    """

    u: np.ndarray
    v: np.ndarray
    half_u: np.ndarray
    half_v: np.ndarray
    scale: np.ndarray
    seed: np.ndarray
    first: np.ndarray
    second: np.ndarray
    footprint: np.ndarray
    front: np.ndarray
    local: np.ndarray
    reach: np.ndarray

    def mix(self, amount: np.ndarray) -> np.ndarray:
        """Mixes the two colours; ``amount`` 0 is the first."""
        return self.first + (self.second - self.first) * amount

    def fade(self, period: np.ndarray | float) -> np.ndarray:
        """Returns 1 where a pattern of this period is resolved, 0 where it is finer than two pixels."""
        return _between(2 - 3 * self.footprint / period, 0, 1)


@functools.cache
def _grain() -> np.ndarray:
    """Returns a tileable fractal noise 0..1, the rows of 256 x 256, the same in every process."""
    rng = np.random.default_rng(20211011)
    total = np.zeros((_GRAIN, _GRAIN))
    for octave, cells in enumerate((8, 16, 32, 64, 128)):
        lattice = rng.random((cells, cells))
        place = np.arange(_GRAIN) * cells / _GRAIN
        low = place.astype(int)
        share = place - low
        share = share * share * (3 - 2 * share)
        high = (low + 1) % cells
        rows = lattice[low] * (1 - share)[:, None] + lattice[high] * share[:, None]
        total += (rows[:, low] * (1 - share) + rows[:, high] * share) * 0.6**octave
    total -= total.min()
    return (total / total.max()).astype(np.float32).ravel()


def _between(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """Computes ``np.clip`` without its overhead, which is that of ten small operations."""
    return np.minimum(np.maximum(x, low), high)


def _noise(u: np.ndarray, v: np.ndarray, size: float) -> np.ndarray:
    """Returns fractal noise 0..1 whose coarsest blobs are ``size`` metres wide."""
    step = _GRAIN / 8 / size
    column = (u * step).astype(np.intp) & (_GRAIN - 1)
    row = (v * step).astype(np.intp) & (_GRAIN - 1)
    return pick(_grain(), row * _GRAIN + column)


def _hash(cell: np.ndarray, salt: np.ndarray | float = 0.0) -> np.ndarray:
    """Returns a pseudo-random number 0..1 for every integer cell."""
    value = np.sin(cell * 12.9898 + salt * 78.233 + 0.5) * 437.5853
    return value - np.floor(value)


def _line(position: np.ndarray, width: np.ndarray | float) -> np.ndarray:
    """Returns 1 within ``width`` of zero, fading out over another ``width``."""
    return _between(2 - np.abs(position) / width, 0, 1)


def _plain(p: _Patch) -> np.ndarray:
    return p.mix(_noise(p.u, p.v, 0.6))


def _fabric(p: _Patch) -> np.ndarray:
    return p.mix(_noise(p.u, p.v, 0.1) * 0.9 * p.fade(0.02) + 0.45 * (1 - p.fade(0.02)))


def _stripes(p: _Patch) -> np.ndarray:
    wave = np.sin(p.u * (2 * np.pi / p.scale) + p.seed * 6)
    return p.mix(0.5 + _between(wave * 3, -0.5, 0.5) * p.fade(p.scale))


def _checker(p: _Patch) -> np.ndarray:
    wave = np.sin(p.u * (np.pi / p.scale)) * np.sin(p.v * (np.pi / p.scale))
    return p.mix(0.5 + _between(wave * 8, -0.5, 0.5) * p.fade(p.scale))


def _planks(p: _Patch) -> np.ndarray:
    row = np.floor(p.u / p.scale)
    shifted = p.v / (p.scale * 7) + _hash(row)
    board = np.floor(shifted)
    tone = _hash(row * 7 + board, p.seed) * 0.45
    streak = _noise(p.u * 3 + row, p.v * 0.25, 0.25) * 0.35 * p.fade(0.03)
    gap_u = _line((p.u / p.scale - row) * p.scale, 0.004 + p.footprint * 0.3)
    gap_v = _line((shifted - board) * p.scale * 7, 0.004 + p.footprint * 0.3)
    gap = np.maximum(gap_u, gap_v) * p.fade(p.scale * 0.5)
    return p.mix(_between(tone + streak + gap * 0.7, 0, 1.2))


def _wood(p: _Patch) -> np.ndarray:
    long_u = p.half_u > p.half_v
    along, across = np.where(long_u, p.u, p.v), np.where(long_u, p.v, p.u)
    warp = _noise(along * 0.3 + p.seed, across, 0.4)
    rings = 0.5 + 0.5 * np.sin(across * (2 * np.pi / 0.07) + warp * 9)
    return p.mix(0.15 + rings * 0.35 * p.fade(0.07) + warp * 0.2)


def _tiles(p: _Patch) -> np.ndarray:
    a, b = p.u / p.scale, p.v / p.scale
    ca, cb = np.floor(a), np.floor(b)
    tone = _hash(ca + 31 * cb, p.seed) * 0.2
    joint = np.minimum(np.minimum(a - ca, ca + 1 - a), np.minimum(b - cb, cb + 1 - b)) * p.scale
    grout = _line(joint, 0.005 + p.footprint * 0.3) * p.fade(p.scale)
    return p.mix(tone + grout * 0.75)


def _dots(p: _Patch) -> np.ndarray:
    a, b = p.u / p.scale, p.v / p.scale
    row = np.floor(b)
    a = a + 0.5 * (row % 2)
    x, y = a - np.floor(a) - 0.5, b - row - 0.5
    inside = _between((0.25 - np.sqrt(x * x + y * y)) * 12 + 0.5, 0, 1)
    return p.mix(inside * p.fade(p.scale * 0.6) + 0.2 * (1 - p.fade(p.scale * 0.6)))


def _panels(p: _Patch) -> np.ndarray:
    # seed 1 is a door with two panels; anything else is a panelled wall up to a rail
    door = p.seed >= 1
    casing = p.half_u - np.abs(p.u) < 0.075
    casing |= p.half_v - p.v < 0.075
    tall = np.where(p.v > 0.12, p.half_v - 0.12, p.half_v + 0.12)
    middle = np.where(p.v > 0.12, 0.12 + tall / 2, 0.12 - tall / 2)
    inset = np.minimum(p.half_u * 0.66 - np.abs(p.u), tall / 2 - 0.15 - np.abs(p.v - middle))
    bevel = _between(1.5 - np.abs(inset) / 0.02, 0, 1) * 0.8 + _between(inset / 0.02, 0, 1) * 0.15
    period = 0.55
    a = p.u / period
    height = p.v + p.half_v
    frame = np.minimum(
        (0.5 - np.abs(a - np.floor(a) - 0.5)) * period - 0.07, np.minimum(height - 0.17, 0.86 - height)
    )
    low = _between(1.5 - np.abs(frame) / 0.015, 0, 1) * 0.7 + _between(2 - np.abs(height - 0.95) / 0.02, 0, 1) * 0.6
    low = np.where(height < 0.95, low + 0.45, low)
    bevel = np.where(casing, -0.25, bevel * p.fade(0.04))
    return p.mix(np.where(door, bevel, low))


def _drawers(p: _Patch) -> np.ndarray:
    doors = p.seed < 0.55
    drawer = np.maximum(1, np.round(p.half_v * 2 / 0.24))
    tall = np.where(doors, p.half_v * 2, p.half_v * 2 / drawer)
    a, b = (p.u + p.half_u) / p.scale, (p.v + p.half_v) / tall
    x, y = (a - np.floor(a) - 0.5) * p.scale, (b - np.floor(b) - 0.5) * tall
    gap = np.minimum(p.scale / 2 - np.abs(x), tall / 2 - np.abs(y))
    line = _line(gap, 0.005 + p.footprint * 0.3)
    side = np.where(np.floor(a) % 2 == 0, 1.0, -1.0)
    hx = np.where(doors, x - side * (p.scale / 2 - 0.06), x)
    handle = (np.abs(hx) < np.where(doors, 0.012, 0.07)) & (np.abs(y) < np.where(doors, 0.08, 0.012))
    grain = _noise(p.u, p.v * 0.15, 0.1) * 0.25 * p.fade(0.02)
    return p.mix(np.where(p.front, np.maximum(line, handle * 1.3), 0.0) + grain)


def _books(p: _Patch) -> np.ndarray:
    a = p.u / p.scale + 0.35 * np.sin(p.u / p.scale * 1.7 + p.seed * 40)
    cell = np.floor(a)
    tone, hue = _hash(cell, p.seed), _hash(cell * 3 + 1, p.seed)
    colour = p.first * (0.35 + tone) * (hue < 0.4) + p.second * (0.4 + tone) * (hue >= 0.4)
    colour = np.where(hue > 0.8, np.float32(0.65) * (0.6 + tone * 0.5), colour)
    share = a - cell
    spine = _between(np.minimum(share, 1 - share) * 6, 0.25, 1)
    band = np.abs(p.v / p.half_v - 0.5 + tone * 0.4) < 0.08
    # books have different heights: above its own, a cell shows the shadowed back
    gone = (p.v / p.half_v > 0.55 + 0.45 * _hash(cell * 5 + 2, p.seed)) & (p.half_v > 0.05)
    colour = colour * np.where(band, 1.5, 1.0) * spine
    resolved = p.fade(0.045)
    mean = (p.first + p.second) * np.float32(0.4)
    return np.where(gone, np.float32(0.05), colour * resolved + mean * (1 - resolved))


def _painting(p: _Patch) -> np.ndarray:
    x, y = p.u / np.maximum(p.half_u, 1e-3), p.v / np.maximum(p.half_v, 1e-3)
    kind = np.floor(p.seed * 4)
    hills = y < 0.35 * np.sin(x * 3 + p.seed * 20) + 0.15 * np.sin(x * 8 + p.seed * 50) - 0.1
    sun = (x - 0.35) ** 2 + (y - 0.45) ** 2 < 0.06
    landscape = np.where(hills, 0.0, 1.0) * 0.85 + 0.15 * y
    circles = np.sin(np.sqrt((x - 0.3) ** 2 + (y + 0.2) ** 2) * 9 + p.seed * 9) > 0
    blocks = _hash(np.floor(x * 1.5 + p.seed * 3) + 5 * np.floor(y * 1.5 + p.seed * 7), p.seed)
    cloud = _noise(p.u + p.seed, p.v + p.seed, 0.3)
    amount = np.select(
        [kind == 0, kind == 1, kind == 2], [landscape, circles * 1.0, blocks], _between(cloud * 2 - 0.5, 0, 1)
    )
    colour = p.mix(amount)
    colour = np.where((kind == 0) & sun, np.float32(0.9), colour)
    rim = np.minimum(p.half_u - np.abs(p.u), p.half_v - np.abs(p.v))
    colour = np.where((rim < 0.1) & (p.seed * 7 % 1 < 0.5), np.float32(0.75), colour)
    # the frame is white or black, depending on the material's scale
    return np.where(rim < 0.035, 0.02 + p.scale * np.float32(0.6), colour)


def _window(p: _Patch) -> np.ndarray:
    y = p.v / p.half_v
    horizon = -0.35 + 0.12 * np.sin(p.u * 2.5 + p.seed * 30) + 0.2 * _noise(p.u + p.seed * 9, p.v * 0, 0.8)
    below = _between((horizon - y) * 8, 0, 1)
    clouds = _between(_noise(p.u * 0.6 + p.seed * 5, p.v * 1.3, 0.9) * 2 - 0.9, 0, 0.6)
    sky = p.first + (0.95 - p.first) * _between(0.45 - y * 0.45 + clouds, 0, 1)
    leaf = p.second * (0.5 + 0.6 * _noise(p.u + p.seed, p.v, 0.25))
    colour = sky + (leaf - sky) * below
    a = (p.u + p.half_u) / p.scale
    bar = np.minimum(np.abs(a - np.round(a)) * p.scale, np.abs(y - 0.35) * p.half_v)
    bar = np.minimum(bar, np.minimum(p.half_u - np.abs(p.u), p.half_v - np.abs(p.v)) - 0.04)
    sash = _between(2 - bar / 0.02, 0, 1)
    return colour + (np.float32(0.55) - colour) * sash


def _screen(p: _Patch) -> np.ndarray:
    x, y = p.u / p.half_u, p.v / p.half_v
    hills = _between((0.25 * np.sin(x * 2.5 + p.seed * 20) + 0.2 * _noise(p.u, p.u, 0.5) - 0.2 - y) * 10, 0, 1)
    shine = _between((x + y) * 0.5 + 0.3, 0, 1)
    return p.mix(hills) * (0.7 + 0.5 * shine)


def _head(p: _Patch) -> np.ndarray:
    # y is ahead: the face is bare, hair covers crown and back (seed 1: down to the shoulders)
    x, y, z = p.local / p.scale
    line = np.where(p.seed > 0.75, -0.9, np.where(p.seed > 0.25, 0.1, 0.35))
    hair = (z > 0.75) | ((y < 0.25) & (z > line)) | ((y < 0.55) & (z > 0.45))
    eye = (y > 0.4) & (np.abs(np.abs(x) - 0.33) < 0.13) & (np.abs(z - 0.12) < 0.09)
    mouth = (y > 0.4) & (np.abs(x) < 0.24) & (np.abs(z + 0.52) < 0.055)
    colour = p.mix(hair * 1.0)
    colour = np.where(eye & ~hair, np.float32(0.03), colour)
    red = np.array([[0.35], [0.08], [0.07]], np.float32)
    return np.where(mouth & ~hair, red, colour)


def _carton(p: _Patch) -> np.ndarray:
    tape = (np.abs(p.u) < 0.028) & ((p.v > p.half_v * 0.5) | ~p.front)
    label = (np.abs(p.u - p.half_u * 0.45) < p.half_u * 0.3) & (np.abs(p.v + p.half_v * 0.35) < p.half_v * 0.3)
    colour = p.mix(_noise(p.u + p.seed, p.v, 0.3) * 0.5)
    return np.where(label & p.front & (p.seed > 0.4), np.float32(0.7), np.where(tape, p.second * 1.25, colour))


def _oriental(p: _Patch) -> np.ndarray:
    rim = np.minimum(p.half_u - np.abs(p.u), p.half_v - np.abs(p.v))
    bands = (np.abs(rim - 0.14) < 0.05) | (np.abs(rim - 0.27) < 0.018)
    diamond = np.abs(np.sin(p.u * (np.pi / p.scale))) + np.abs(np.sin(p.v * (np.pi / p.scale)))
    field = _between((np.abs(diamond - 1.0) - 0.25) * 6, 0, 1) * (rim > 0.3) * 0.8 * p.fade(p.scale * 0.6)
    return p.mix(np.where(bands, 1.0, field)) * (0.85 + 0.3 * _noise(p.u, p.v, 0.08) * p.fade(0.03))


def _leaves(p: _Patch) -> np.ndarray:
    spots = _noise(p.u * 1.3 + p.seed, p.v + p.seed, 0.14)
    return p.mix(_between(spots * 2.4 - 0.7, 0, 1))


def _sleeve(p: _Patch) -> np.ndarray:
    # a forearm's z axis runs from the elbow to the fingers
    return p.mix((p.local[2] > p.reach - p.scale) * np.float32(1))


_PAINT: dict[Texture, Callable[[_Patch], np.ndarray]] = {
    Texture.PLAIN: _plain,
    Texture.FABRIC: _fabric,
    Texture.STRIPES: _stripes,
    Texture.CHECKER: _checker,
    Texture.PLANKS: _planks,
    Texture.WOOD: _wood,
    Texture.TILES: _tiles,
    Texture.DOTS: _dots,
    Texture.PANELS: _panels,
    Texture.BOOKS: _books,
    Texture.PAINTING: _painting,
    Texture.WINDOW: _window,
    Texture.SCREEN: _screen,
    Texture.HEAD: _head,
    Texture.CARTON: _carton,
    Texture.DRAWERS: _drawers,
    Texture.ORIENTAL: _oriental,
    Texture.LEAVES: _leaves,
    Texture.SLEEVE: _sleeve,
}


def albedo(scene: Scene, surface: Surface, pixel: float) -> np.ndarray:
    """Returns the linear colours ``(3, P)`` of the surfaces.

    Args:
        scene: The solids.
        surface: Where the rays met them.
        pixel: Width of a pixel at distance 1.
    """
    kind = pick(scene.texture, surface.solid)
    # sorted by texture, the points of each texture are one slice of each array
    order = np.argsort(kind, kind="stable")
    solid, axis = pick(surface.solid, order), pick(surface.axis, order)
    x, y, z = local = pick(surface.local, order)
    face = solid * 3 + axis
    half = scene.half.astype(np.float32)
    side, flat = axis == 0, axis == 2
    u, v = x.copy(), z.copy()
    np.copyto(u, y, where=side)
    np.copyto(v, y, where=flat)
    facing = np.maximum(np.abs(dot(surface.normal, surface.toward)), 0.15)
    whole = _Patch(
        u=u,
        v=v,
        half_u=pick(half[:, [1, 0, 0]].ravel(), face),
        half_v=pick(half[:, [2, 2, 1]].ravel(), face),
        scale=pick(scene.scale, solid),
        seed=pick(scene.seed, solid),
        first=pick(scene.first, solid),
        second=pick(scene.second, solid),
        footprint=pick(surface.depth * np.float32(pixel) / facing, order),
        front=axis == 1,
        local=local,
        reach=pick((scene.stretch * scene.half[:, 2]).astype(np.float32), solid),
    )
    sorted_colour = np.empty((3, len(solid)), np.float32)
    counts = np.bincount(kind)
    stop = 0
    for texture in np.flatnonzero(counts).tolist():
        start, stop = stop, stop + int(counts[texture])
        part = slice(start, stop)
        patch = _Patch(**{name: value[..., part] for name, value in vars(whole).items()})
        sorted_colour[:, part] = _PAINT[Texture(texture)](patch)
    colour = np.empty_like(sorted_colour)
    for i in range(3):
        colour[i, order] = sorted_colour[i]
    board = (surface.solid < ROOM_FACES - 2) & (surface.point[2] < _SKIRTING)
    np.copyto(colour, np.float32(0.68), where=board)
    return np.maximum(colour, 0, out=colour)
