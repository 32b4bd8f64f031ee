"""Finds the solid that every ray of a camera meets first, with the point and the normal.

A ray is ``position + t * (forward + u * right + v * up)``, so that t is the z-depth. In a solid's local frame its
half sizes are 1. There a ray's direction is linear in u and v, and so are its products with constants: each is the
sum of one value per column and one per row. Arrays over rays are float32; values per solid are float64. Most solids
are small, so a solid is tested only against the rays in its window. All solids of one shape are tested together.

Legend: N solids, S of them in view, P = H x W rays in raster order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from atrc.data.rooms.camera import Camera
from atrc.data.rooms.scene import ROOM_FACES, Scene, Shape

__all__ = ["Surface", "cast", "dot", "first_hits", "pick"]

_CORNERS = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)


@dataclass
class Surface:
    """The surfaces that the rays of a grid meet.

    Attributes:
        size: ``(H, W)``.
        solid: ``(P,)`` index of the solid in the scene.
        depth: ``(P,)`` z-depth, metres.
        point: ``(3, P)`` in the world.
        normal: ``(3, P)`` unit vectors in the world, towards the camera.
        local: ``(3, P)`` in the solid's own axes, metres from its centre.
        axis: ``(P,)`` axis of the face of a box that was met; for other shapes, 2 for an end and 0 for the side.
        toward: ``(3, P)`` unit vector to the camera.
    """

    size: tuple[int, int]
    solid: np.ndarray
    depth: np.ndarray
    point: np.ndarray
    normal: np.ndarray
    local: np.ndarray
    axis: np.ndarray
    toward: np.ndarray


def pick(table: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Returns ``table[..., index]`` for valid indices; without the check it takes half of the time."""
    return table.take(index, axis=-1, mode="clip")


def dot(a: np.ndarray | list[np.ndarray], b: np.ndarray | list[np.ndarray]) -> np.ndarray:
    """Returns the scalar product over the first axis, of length 3."""
    result: np.ndarray = a[0] * b[0]
    result += a[1] * b[1]
    result += a[2] * b[2]
    return result


def first_hits(scene: Scene, camera: Camera, columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns z-depth (float32) and index (int16) of the first solid on every ray of `Camera.grid`, ``(H, W)``."""
    seen, windows = _windows(scene, camera, columns, rows)
    of = np.concatenate([np.zeros(1, np.intp), seen])
    origin = np.einsum("nij,nj->in", scene.to_local[of], camera.position - scene.centre[of])
    frame = np.einsum("nij,kj->ikn", scene.to_local[of], camera.axes)
    # per solid: the direction (3), origin x direction (3), -origin . direction (1), the same in x and y only (1)
    (ox, oy, oz), (fx, fy, fz) = origin[:, None], frame
    cross = np.stack([oy * fz - oz * fy, oz * fx - ox * fz, ox * fy - oy * fx])
    along = -(origin[:, None] * frame)
    linear = np.concatenate([frame, cross, along.sum(0)[None], along[:2].sum(0)[None]]).astype(np.float32)[..., None]
    across, upward = linear[:, 2] + linear[:, 0] * columns, linear[:, 1] * rows

    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        direction = across[:3, 0, None, :] + upward[:3, 0, :, None]
        low, high = np.stack([-1 - origin[:, 0], 1 - origin[:, 0]]).astype(np.float32)[..., None, None]
        leave = np.maximum(low / direction, high / direction)
        depth = leave.min(axis=0)
        solid = (direction[0] > 0).astype(np.int16)
        for k in (1, 2):
            np.copyto(solid, 2 * k + (direction[k] > 0), where=leave[k] == depth)

        shape, stretch = scene.shape[seen], scene.stretch[seen]
        found = []
        for enter, chosen in (
            (_enter_boxes, shape == Shape.BOX),
            (_enter_ellipsoids, (shape == Shape.ROUND) & (stretch == 0)),
            (_enter_capsules, (shape == Shape.ROUND) & (stretch != 0)),
            (_enter_cylinders, shape == Shape.CYLINDER),
        ):
            group = np.flatnonzero(chosen)
            if len(group):
                rays = _Rays(windows[:, group], across[:, group + 1], upward[:, group + 1])
                t, far = enter(rays, origin[:, group + 1], stretch[group])
                ahead = np.flatnonzero((t > 0) & (t < far) & (t < pick(depth.ravel(), rays.pixel)))
                found.append((rays.pixel[ahead], t[ahead], pick(seen[group].astype(np.int16), rays.own[ahead])))
    if found:
        _keep_nearest(depth.ravel(), solid.ravel(), *(np.concatenate(parts) for parts in zip(*found, strict=True)))
    return depth, solid


def _keep_nearest(depth: np.ndarray, solid: np.ndarray, pixel: np.ndarray, t: np.ndarray, number: np.ndarray) -> None:
    """Writes the nearest hit of every pixel into depth and solid ``(P,)``; of equal ones, that of the first solid."""
    np.minimum.at(depth, pixel, t)
    nearest = np.flatnonzero(t == pick(depth, pixel))
    # if several values are assigned to one place, the last one stays
    nearest = nearest[np.argsort(-number[nearest], kind="stable")]
    solid[pixel[nearest]] = number[nearest]


class _Rays:
    """The rays in the windows of G solids, one after the other: R of them.

    Args:
        windows: ``(4, G)``, see `_windows`.
        across, upward: ``(8, G, W)`` and ``(8, G, H)``: terms of the linear functions per column and per row.

    Attributes:
        pixel: ``(R,)`` numbers of the rays in raster order.
        own: ``(R,)`` index of the solid, 0..G-1, against which a ray is tested.
    """

    def __init__(self, windows: np.ndarray, across: np.ndarray, upward: np.ndarray) -> None:
        top, bottom, left, right = windows
        width = right - left
        count = (bottom - top) * width
        own = np.repeat(np.arange(len(count)), count)
        inside = np.arange(len(own)) - pick(np.cumsum(count) - count, own)
        row = inside // pick(width, own)
        column = inside - row * pick(width, own) + pick(left, own)
        row += pick(top, own)
        self.own, self.pixel = own, row * across.shape[2] + column
        self._across, self._upward = across.reshape(8, -1), upward.reshape(8, -1)
        self._column, self._row = own * across.shape[2] + column, own * upward.shape[2] + row

    def linear(self, *which: int) -> np.ndarray:
        """Returns ``(len(which), R)`` values of the linear functions."""
        across, upward = self._across[list(which)], self._upward[list(which)]
        return pick(across, self._column) + pick(upward, self._row)

    def of(self, values: np.ndarray) -> np.ndarray:
        """Expands values per solid ``(..., G)`` to values per ray ``(..., R)``, float32."""
        return pick(values.astype(np.float32), self.own)


def _windows(scene: Scene, camera: Camera, columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the solids that may be in view ``(S,)``, and their bounds ``(4, S)``: top, bottom, left, right."""
    reach = scene.half[ROOM_FACES:].copy()
    reach[:, 2] *= 1 + scene.stretch[ROOM_FACES:]
    to_camera = np.einsum("ki,nij->nkj", camera.axes, scene.axes[ROOM_FACES:]) * reach[:, None, :]
    middle = (scene.centre[ROOM_FACES:] - camera.position) @ camera.axes.T
    x, y, z = (to_camera @ _CORNERS.T + middle[:, :, None]).transpose(1, 0, 2)
    z = np.copysign(np.maximum(np.abs(z), 1e-9), z)
    front = z > 0
    low_u, high_u = _extent(x / z, front)
    low_v, high_v = _extent(y / z, front)
    left, right = np.searchsorted(columns, low_u, "left"), np.searchsorted(columns, high_u, "right")
    top, bottom = np.searchsorted(-rows, -high_v, "left"), np.searchsorted(-rows, -low_v, "right")
    seen = np.flatnonzero(front.any(axis=1) & (left < right) & (top < bottom))
    return seen + ROOM_FACES, np.stack([top, bottom, left, right])[:, seen]


def _extent(place: np.ndarray, front: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns bounds of the areas that hulls cover on the plane at distance 1, one hull per row.

    For a corner at ``place = x / z``, a lower bound must satisfy ``x >= low * z``. So it is at most the place of a
    corner in front of the camera, and at least that of a corner behind it. If these conditions contradict each other,
    the hull has no such bound.
    """
    lowest, highest = np.where(front, place, np.inf).min(axis=1), np.where(front, place, -np.inf).max(axis=1)
    behind_low, behind_high = np.where(front, np.inf, place).min(axis=1), np.where(front, -np.inf, place).max(axis=1)
    return np.where(lowest >= behind_high, lowest, -np.inf), np.where(highest <= behind_low, highest, np.inf)


def _enter_boxes(rays: _Rays, origin: np.ndarray, _: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns t at which rays enter and leave the cube [-1, 1]^3. For a ray that misses it, the second is smaller.

    Rays can enter only through the faces that are visible from the origin: one per axis on which the origin is beyond
    1.
    """
    side = np.copysign(1, origin)
    beyond = np.abs(origin) > 1
    to_near, ratio = rays.of(side - origin), rays.of((-side - origin) / (side - origin))
    inside, place = pick(~beyond, rays.own), rays.of(origin)
    direction = rays.linear(0, 1, 2)
    enter = to_near / direction
    leave = enter * ratio
    np.copyto(leave, (np.copysign(np.float32(1), direction) - place) / direction, where=inside)
    np.copyto(enter, -np.inf, where=inside)
    return enter.max(axis=0), leave.min(axis=0)


def _enter_ellipsoids(rays: _Rays, *_: np.ndarray) -> tuple[np.ndarray, float]:
    """Returns t at which rays enter the unit sphere; nan where they miss it."""
    # |o|^2 |d|^2 - (o . d)^2 would cancel for a small distant sphere; |o x d|^2 does not
    both = rays.linear(0, 1, 2, 3, 4, 5)
    both *= both
    square = both[:3].sum(axis=0)
    root = np.sqrt(square - both[3:].sum(axis=0))
    return (rays.linear(6)[0] - root) / square, np.inf


def _enter_capsules(rays: _Rays, origin: np.ndarray, stretch: np.ndarray) -> tuple[np.ndarray, float]:
    """Returns t at which rays enter the capsule of radius 1 about the z axis; nan where they miss it."""
    x, y, z, aside, middle = rays.linear(0, 1, 2, 5, 7)
    flat = np.maximum(x * x + y * y, 1e-12)
    inward = np.sqrt(flat - aside * aside)
    t = (middle - inward) / flat
    # a ray that meets the cylinder beyond the straight part goes on to the half sphere at that end
    height = t * z + rays.of(origin[2])
    straight = rays.of(stretch)
    beyond = height - np.minimum(np.maximum(height, -straight), straight)
    along = beyond * z - inward
    square = flat + z * z
    beyond *= beyond
    ball = t - (along + np.sqrt(along * along - square * beyond)) / square
    return np.where(beyond == 0, t, ball), np.inf


def _enter_cylinders(rays: _Rays, origin: np.ndarray, _: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns t at which rays enter and leave the unit cylinder about z, -1 <= z <= 1."""
    x, y, z, aside, middle = rays.linear(0, 1, 2, 5, 7)
    flat = np.maximum(x * x + y * y, 1e-12)
    root = np.sqrt(flat - aside * aside)
    low, high = rays.of(-1 - origin[2]) / z, rays.of(1 - origin[2]) / z
    near = np.maximum((middle - root) / flat, np.minimum(low, high))
    far = np.minimum((middle + root) / flat, np.maximum(low, high))
    return near, far


def cast(scene: Scene, camera: Camera, columns: np.ndarray, rows: np.ndarray) -> Surface:
    """Returns the surfaces that the rays of `Camera.grid` meet first."""
    depth, hit = first_hits(scene, camera, columns, rows)
    solid, t = hit.ravel().astype(np.intp), depth.ravel()
    direction = _directions(camera, columns, rows)
    point = direction * t
    point += camera.position.astype(np.float32)[:, None]
    toward = direction * (-1 / np.sqrt(dot(direction, direction)))
    local, heading = _turned(scene, camera, solid, t, direction)

    # the ray enters through this face, so its normal always points to the camera
    side = np.copysign(pick(_columns(scene.half), solid), heading)
    depth_in = local / side
    best = np.minimum(depth_in[0], depth_in[1])
    axis = (depth_in[1] < depth_in[0]).astype(np.intp)
    np.copyto(axis, 2, where=depth_in[2] < best)
    room = solid < ROOM_FACES
    np.copyto(axis, solid >> 1, where=room)

    code = axis * 2
    code += solid * 6
    np.add(code, 1, out=code, where=heading[0] > 0)
    for i in (1, 2):
        np.copyto(code, solid * 6 + 2 * i + (heading[i] > 0), where=axis == i)
    normal = pick(_face_normals(scene), code)
    at = np.flatnonzero(pick(scene.shape, solid))
    if len(at):
        local[:, at], axis[at], normal[:, at] = _curved(scene, solid[at], point[:, at], toward[:, at])
    return Surface((len(rows), len(columns)), solid, t, point, normal, local, axis, toward)


def _directions(camera: Camera, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns ``(3, P)`` directions of the rays, of length 1 along the line of sight."""
    right, up, forward = camera.axes.astype(np.float32)
    across = forward[:, None] + right[:, None] * columns
    grid = across[:, None, :] + (up[:, None] * rows)[:, :, None]
    return grid.reshape(3, -1)


def _turned(
    scene: Scene, camera: Camera, solid: np.ndarray, t: np.ndarray, direction: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns points, relative to the solids' centres, and directions ``(3, P)`` in the axes of upright solids."""
    start = np.einsum("nji,nj->in", scene.axes, camera.position - scene.centre)
    cosine, sine = pick(np.stack([scene.axes[:, 0, 0], scene.axes[:, 1, 0]]).astype(np.float32), solid)
    heading = np.empty_like(direction)
    np.multiply(cosine, direction[0], out=heading[0])
    heading[0] += sine * direction[1]
    np.multiply(cosine, direction[1], out=heading[1])
    heading[1] -= sine * direction[0]
    heading[2] = direction[2]
    local = heading * t
    local += pick(start.astype(np.float32), solid)
    return local, heading


def _columns(table: np.ndarray) -> np.ndarray:
    """Returns ``(N, k)`` as contiguous float32 ``(k, N)``."""
    return table.T.astype(np.float32, order="C")


def _face_normals(scene: Scene) -> np.ndarray:
    """Returns ``(3, 6 N)``: world normals of the faces by which rays enter, against and along each axis."""
    normals = np.repeat(scene.axes.transpose(0, 2, 1), 2, axis=1)
    normals[:, 1::2] *= -1
    for face in range(ROOM_FACES):
        normals[face] = 0
        normals[face, :, face // 2] = 1 - 2 * (face % 2)
    return normals.reshape(-1, 3).T.astype(np.float32).copy()


def _curved(
    scene: Scene, solid: np.ndarray, point: np.ndarray, toward: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns local points, axes and world normals on ellipsoids, capsules and cylinders."""
    own = pick(_columns(scene.axes.reshape(-1, 9)), solid)
    rows = [own[i::3] for i in range(3)]
    offset = point - pick(_columns(scene.centre), solid)
    local = np.stack([dot(rows[i], offset) for i in range(3)])
    inverse = pick(_columns(1 / scene.half), solid)
    unit = local * inverse

    stretch = pick(scene.stretch.astype(np.float32), solid)
    tube = pick(scene.shape == Shape.CYLINDER, solid)
    end = tube & (np.abs(unit[2]) > np.sqrt(unit[0] ** 2 + unit[1] ** 2))
    unit[2] = np.where(
        tube, np.where(end, np.sign(unit[2]), 0), unit[2] - np.minimum(np.maximum(unit[2], -stretch), stretch)
    )
    unit[:2, end] = 0
    unit *= inverse
    normal = np.stack([dot(own[3 * j : 3 * j + 3], unit) for j in range(3)])
    normal /= np.sqrt(dot(normal, normal))
    # at the silhouette, rounding may turn a normal slightly away from the camera
    facing = dot(normal, toward)
    away = np.flatnonzero(facing < 1e-4)
    if len(away):
        normal[:, away] += toward[:, away] * (1e-3 - facing[away])
        normal[:, away] /= np.sqrt(dot(normal[:, away], normal[:, away]))
    return local, np.where(end, 2, 0), normal
