"""Light, shadow and the camera's sensor, which turn surfaces into an 8-bit picture."""

from __future__ import annotations

import functools

import numpy as np

from atrc.data.rooms.lights import Lighting
from atrc.data.rooms.raycast import Surface, dot, pick
from atrc.data.rooms.scene import ROOM_FACES, Scene
from atrc.data.rooms.shadows import lit
from atrc.data.rooms.textures import albedo

__all__ = ["develop", "shade"]

_PLAN = 64
"""Number of cells per side of the floor plan from which the ambient occlusion is read."""

# three points of a round light: the smallest number that softens shadows in every direction
_DISC = np.array([(0.0, 1.0), (0.87, -0.5), (-0.87, -0.5)])


def shade(scene: Scene, surface: Surface, lighting: Lighting, pixel: float) -> np.ndarray:
    """Computes the linear light ``(3, H, W)`` float32 that reaches the camera.

    Args:
        scene: The solids.
        surface: Where the rays met them.
        lighting: The lights.
        pixel: Width of a pixel at distance 1.
    """
    colour = albedo(scene, surface, pixel)
    normal, point, solid = surface.normal, surface.point, surface.solid
    open_air = _openness(scene, surface)

    ambient = np.array(lighting.ambient, np.float32)[:, None]
    ground = scene.first[:, 4, None] * np.float32(0.75)
    upward = normal[2] * 0.5 + 0.5
    # light from below was reflected by the floor and has its colour
    light = (ground + (1 - ground) * upward) * (ambient * open_air)

    gloss = pick(scene.gloss, solid)
    key = np.array(lighting.key, np.float32)
    incidence, fall, beam = _towards(point, normal, key)
    shine = _shine(normal, beam + surface.toward)
    visible = _soft_shadow(scene, surface, lighting, incidence > 0)
    power = incidence * fall * visible
    light += np.array(lighting.key_colour, np.float32)[:, None] * power
    highlight = shine * visible * fall * lighting.key_colour[0]
    for position, strength in lighting.points:
        incidence, fall, _ = _towards(point, normal, np.array(position, np.float32))
        incidence *= fall
        incidence *= open_air
        light += np.array(strength, np.float32)[:, None] * incidence
    result = colour * light
    result += gloss * highlight * 0.6
    result += colour * pick(scene.glow, solid)
    return np.minimum(result, 6).reshape(3, *surface.size)


def _towards(point: np.ndarray, normal: np.ndarray, light: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns cosine of incidence and falloff ``(P,)`` of a light, and the direction to it ``(3, P)``."""
    beam = light[:, None] - point
    square = dot(beam, beam)
    beam *= 1 / np.sqrt(square)
    incidence = np.maximum(dot(beam, normal), 0)
    return incidence, 1 / (square + 0.6), beam


def _shine(normal: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Returns Blinn's highlight ``(P,)``, exponent 32; ``half`` is the sum of the directions to light and camera."""
    shine = np.maximum(dot(half, normal), 0)
    shine *= shine / dot(half, half)
    for _ in range(4):
        shine *= shine
    return shine


def _soft_shadow(scene: Scene, surface: Surface, lighting: Lighting, candidates: np.ndarray) -> np.ndarray:
    """Returns the share ``(P,)`` of the key light that is visible.

    One pixel in three, along diagonals, tests one of three points of the light, so that every 3 x 3 block tests all
    three. The soft shadow is the mean over the neighbours on the same face.
    """
    height, width = surface.size
    lights = np.array(lighting.key)[None, :] + np.pad(_DISC * lighting.key_size, ((0, 0), (0, 1)))
    asked, which, weight = _raster(surface.size)
    visible = lit(scene, surface, candidates & asked, lights, which).reshape(height, width)
    face = (surface.solid * 3 + surface.axis).astype(np.int16).reshape(height, width)
    visible *= weight
    total, count = visible.copy(), weight.copy()
    _spread(visible, weight, face, total, count, axis=1)
    visible, weight = total.copy(), count.copy()
    _spread(visible, weight, face, total, count, axis=0)
    return (total / count).ravel()


@functools.lru_cache(maxsize=4)
def _raster(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns a mask of the pixels that test ``(P,)``, their points of the light ``(P,)``, and weights ``(H, W)``."""
    row, column = np.indices(size)
    asked = (row + column) % 3 == 0
    # pixels that do not test count a little, so that one without neighbours on its face has a value
    weight = np.where(asked, np.float32(1), np.float32(0.01))
    return asked.ravel(), (row % 3).ravel(), weight


def _spread(
    value: np.ndarray, weight: np.ndarray, face: np.ndarray, total: np.ndarray, count: np.ndarray, axis: int
) -> None:
    """Adds to every pixel its two neighbours along an axis where they lie on the same face."""
    here = (slice(None, -1), slice(None)) if axis == 0 else (slice(None), slice(None, -1))
    there = (slice(1, None), slice(None)) if axis == 0 else (slice(None), slice(1, None))
    same = face[here] == face[there]
    total[here] += value[there] * same
    total[there] += value[here] * same
    count[here] += weight[there] * same
    count[there] += weight[here] * same


def _openness(scene: Scene, surface: Surface) -> np.ndarray:
    """Returns the ambient occlusion ``(P,)``, 0.25..1, by corners of the room and by taller things nearby."""
    width, depth, height = scene.room
    x, y, z = surface.point
    corner = np.ones_like(x)
    for place, size in ((x, width), (y, depth), (z, height)):
        gap = np.minimum(place, size - place)
        gap *= 3
        gap += 1
        gap *= gap
        shade = 1 - np.float32(0.38) / gap
        corner *= shade
    # a face of the room is not darkened by itself
    corner[surface.solid < ROOM_FACES] *= np.float32(1 / 0.62)
    plan = _floor_plan(scene)
    nx, ny, _ = surface.normal
    column = ((x + nx * 0.18) * (_PLAN / width)).astype(np.intp)
    row = ((y + ny * 0.18) * (_PLAN / depth)).astype(np.intp)
    for place in (column, row):
        np.maximum(place, 0, out=place)
        np.minimum(place, _PLAN - 1, out=place)
    above = pick(plan.ravel(), row * _PLAN + column) - z
    above *= 2.2
    np.maximum(above, 0, out=above)
    np.minimum(above, 1, out=above)
    above *= -0.6
    above += 1
    return corner * above


def _floor_plan(scene: Scene) -> np.ndarray:
    """Returns the height of the furniture over the floor ``(64, 64)``, metres, blurred over about 0.3 m."""
    width, depth, _ = scene.room
    margin = 4
    padded = np.zeros((_PLAN + 2 * margin, _PLAN + 2 * margin), np.float32)
    plan = padded[margin:-margin, margin:-margin]
    for x, y, hx, hy, top in scene.footprints.tolist():
        left, right = int((x - hx) / width * _PLAN), int((x + hx) / width * _PLAN + 1)
        low, high = int((y - hy) / depth * _PLAN), int((y + hy) / depth * _PLAN + 1)
        area = plan[max(low, 0) : high, max(left, 0) : right]
        np.maximum(area, min(top, 0.6), out=area)
    for _ in range(2):
        padded = padded[:-2] + padded[2:] + padded[1:-1]
        padded = padded[:, :-2] + padded[:, 2:] + padded[:, 1:-1]
    return padded[2:-2, 2:-2] / np.float32(81)


def develop(light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turns linear light into an 8-bit picture like that of a hand-held camera.

    It applies the exposure for the scene with a random error, a colour cast, a film curve, a vignette and sensor
    noise.

    Args:
        light: ``(3, H, W)`` linear.
        rng: Generator of the camera's errors.

    Returns:
        ``(H, W, 3)`` uint8 sRGB.
    """
    height, width = light.shape[1:]
    level = float(np.minimum(light, 1.5).mean())
    exposure = 0.36 / max(level, 1e-3) ** 0.85 * np.exp(rng.uniform(-0.3, 0.25))
    cast = np.exp(rng.normal(0, 0.035, 3))
    rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    vignette = 1 - np.float32(rng.uniform(0.03, 0.12)) * (rows**2 + columns**2)
    x = light * vignette
    x *= (exposure * cast).astype(np.float32)[:, None, None]
    below = x * np.float32(2.43)
    below += np.float32(0.59)
    below *= x
    below += np.float32(0.14)
    above = x * np.float32(2.51)
    above += np.float32(0.03)
    above *= x
    above /= below
    x = _blurred(np.sqrt(above))
    # the sum of two bytes is close enough to a normal distribution, and ten times as fast
    grain = np.frombuffer(rng.bytes(2 * x.size), np.uint8).astype(np.float32).reshape(2, *x.shape)
    strength = np.float32(rng.uniform(0.004, 0.014) / 104)
    grain *= strength
    x += grain[0]
    x += grain[1] - 255 * strength
    x *= 255
    x += np.float32(0.5)
    np.maximum(x, 0, out=x)
    np.minimum(x, 255, out=x)
    image = np.empty((height, width, 3), np.uint8)
    for i in range(3):
        image[:, :, i] = x[i]
    return image


def _blurred(x: np.ndarray) -> np.ndarray:
    """Applies the blur of a lens: a cross of five pixels, whose centre weighs as much as the others together."""
    result = x * np.float32(0.5)
    side = x * np.float32(0.125)
    result[:, 1:] += side[:, :-1]
    result[:, :-1] += side[:, 1:]
    result[:, :, 1:] += side[:, :, :-1]
    result[:, :, :-1] += side[:, :, 1:]
    for end in (0, -1):
        result[:, end] += side[:, end]
        result[:, :, end] += side[:, :, end]
    return result
