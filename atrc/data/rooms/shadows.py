"""Finds the points that a light does not reach.

The light hangs above everything that casts shadows. So points and solids can be projected from the light onto a plane
below it. Only points within the rectangle of a piece's shadow are tested against its solids.
"""

from __future__ import annotations

import numpy as np

from atrc.data.rooms.raycast import Surface, dot, pick
from atrc.data.rooms.scene import Scene, Shape

__all__ = ["lit"]


def lit(scene: Scene, surface: Surface, candidates: np.ndarray, lights: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Returns which points see their light. Capsules cast the shadow of the ellipsoids inside them.

    Args:
        scene: The solids; only its `pieces` cast shadows.
        surface: P points.
        candidates: ``(P,)`` bool: points to test; the others count as lit.
        lights: ``(K, 3)`` positions near each other, all at one height.
        which: ``(P,)`` index of the light of every point.

    Returns:
        ``(P,)`` float32, 0 or 1.
    """
    result = np.ones(len(candidates), np.float32)
    x, y, z = lights.mean(axis=0).tolist()
    asked = np.flatnonzero(candidates & (surface.point[2] < z - 0.05))
    if not len(asked) or not scene.pieces:
        return result
    # a little off the surface, which would otherwise shade itself
    start = pick(surface.point, asked) + pick(surface.normal, asked) * np.float32(0.004)
    lamp = pick(which, asked)
    beam = pick(lights.T.astype(np.float32, order="C"), lamp) - start
    drop = 1 / (z - start[2])
    at_x, at_y = (start[0] - x) * drop, (start[1] - y) * drop
    dark = np.zeros(len(asked), bool)
    bounds = _bounds(scene, lights)
    with np.errstate(divide="ignore", invalid="ignore"):
        for piece, (low_x, high_x, low_y, high_y, top) in zip(scene.pieces, bounds, strict=True):
            inside = at_x > low_x
            inside &= at_x < high_x
            inside &= at_y > low_y
            inside &= at_y < high_y
            inside &= start[2] < top
            at = np.flatnonzero(inside)
            if len(at):
                dark[at] |= _blocked(scene, piece, pick(start, at), pick(beam, at))
    result[asked[dark]] = 0
    return result


def _bounds(scene: Scene, lights: np.ndarray) -> list[list[float]]:
    """Returns for every piece the rectangle of its shadow (x from, to, y from, to), and its top.

    The rectangle is on the plane 1 m below the light."""
    middle = lights.mean(axis=0)
    slack = np.abs(lights - middle).max()
    reach = scene.half.copy()
    reach[:, 2] *= 1 + scene.stretch
    extent = (np.abs(scene.axes) * reach[:, None, :]).sum(axis=2)
    edges = [i for piece in scene.pieces for i in piece]
    # reduceat also reduces the gaps between pieces; an index past the end is not allowed, hence the padding
    pad = np.zeros((1, 3))
    low = np.minimum.reduceat(np.concatenate([scene.centre - extent, pad]), edges)[::2]
    high = np.maximum.reduceat(np.concatenate([scene.centre + extent, pad]), edges)[::2]
    near, far = np.maximum(middle[2] - high[:, 2:], 1e-3), middle[2] - low[:, 2:]
    low_xy, high_xy = low[:, :2] - middle[:2] - slack, high[:, :2] - middle[:2] + slack
    low_q, high_q = np.minimum(low_xy / near, low_xy / far), np.maximum(high_xy / near, high_xy / far)
    result: list[list[float]] = np.stack(
        [low_q[:, 0], high_q[:, 0], low_q[:, 1], high_q[:, 1], high[:, 2]], axis=1
    ).tolist()
    return result


def _blocked(scene: Scene, piece: tuple[int, int], start: np.ndarray, beam: np.ndarray) -> np.ndarray:
    """Returns ``(P,)`` bool: whether a solid of the piece lies between the point and its light."""
    blocked = np.zeros(start.shape[1], bool)
    shapes = scene.shape[piece[0] : piece[1]].tolist()
    casts = scene.casts[piece[0] : piece[1]].tolist()
    for shape in set(shapes):
        of = [i + piece[0] for i, (own, dark) in enumerate(zip(shapes, casts, strict=True)) if dark and own == shape]
        if of:
            blocked |= _CROSSES[Shape(shape)](scene, np.array(of), start, beam).any(axis=0)
    return blocked


def _boxes(scene: Scene, of: np.ndarray, start: np.ndarray, beam: np.ndarray) -> np.ndarray:
    # the boxes of a piece are parallel, so all have the same axes
    axes = scene.axes[of[0]]
    centre = (scene.centre[of] @ axes).T.astype(np.float32)[:, :, None]
    half = scene.half[of].T.astype(np.float32)[:, :, None]
    turn = axes.T.astype(np.float32)
    inverse = 1 / np.einsum("ij,jp->ip", turn, beam)
    place = np.einsum("ij,jp->ip", turn, start)
    place *= inverse
    middle = centre * inverse[:, None]
    middle -= place[:, None]
    reach = half * np.abs(inverse)[:, None]
    far = (middle + reach).min(axis=0)
    middle -= reach
    near = middle.max(axis=0)
    return np.maximum(near, 1e-3) < np.minimum(far, 1)


def _local(scene: Scene, of: np.ndarray, start: np.ndarray, beam: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns points and beams ``(3, n, P)`` in the frames in which the solids' half sizes are 1."""
    matrix = scene.to_local[of]
    matrix[:, 2] /= 1 + scene.stretch[of, None]
    shift = (matrix @ scene.centre[of, :, None]).transpose(1, 0, 2).astype(np.float32)
    small = matrix.astype(np.float32)
    # einsum sums in a fixed order; the order of a matrix product may depend on the number of threads
    points = np.einsum("nij,jp->inp", small, start)
    points -= shift
    return points, np.einsum("nij,jp->inp", small, beam)


def _rounds(scene: Scene, of: np.ndarray, start: np.ndarray, beam: np.ndarray) -> np.ndarray:
    o, d = _local(scene, of, start, beam)
    ahead, square = dot(o, d), dot(d, d)
    np.negative(ahead, out=ahead)
    gap = ahead * ahead
    gap /= square
    gap += 0.98
    return (dot(o, o) < gap) & (ahead > 0) & (ahead < square)


def _cylinders(scene: Scene, of: np.ndarray, start: np.ndarray, beam: np.ndarray) -> np.ndarray:
    o, d = _local(scene, of, start, beam)
    low, high = (-1 - o[2]) / d[2], (1 - o[2]) / d[2]
    near, far = np.maximum(np.minimum(low, high), 0), np.minimum(np.maximum(low, high), 1)
    t = -(o[0] * d[0] + o[1] * d[1]) / (d[0] * d[0] + d[1] * d[1])
    t = np.minimum(np.maximum(t, near), far)
    x, y = o[0] + t * d[0], o[1] + t * d[1]
    return (x * x + y * y < 0.98) & (near < far)


_CROSSES = {Shape.BOX: _boxes, Shape.ROUND: _rounds, Shape.CYLINDER: _cylinders}
