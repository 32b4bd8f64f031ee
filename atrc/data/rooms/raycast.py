"""Which solid every ray of a camera meets first, where, and under which normal.

A ray is ``position + t * (forward + u * right + v * up)``, so that t is the z-depth. In a solid's local frame its
half sizes are 1, and a ray's direction there, like every product of it with a constant, is linear in u and v: a sum
of one value per column and one per row. Arrays over rays are float32; what is computed once per solid is float64.

Legend: N solids, S of them in view, P = H x W rays in raster order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from atrc.data.rooms.camera import Camera
from atrc.data.rooms.scene import ROOM_FACES, Scene, Shape

__all__ = ["Surface", "cast", "dot", "first_hits", "pick"]

_CORNERS = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)

_Window = tuple[int, int, int, int]


@dataclass
class Surface:
    """What the rays of a grid meet.

    Attributes:
        size: ``(H, W)``.
        solid: ``(P,)`` index into the scene.
        depth: ``(P,)`` z-depth, metres.
        point: ``(3, P)`` in the world.
        normal: ``(3, P)`` unit, in the world, towards the camera.
        local: ``(3, P)`` in the solid's own axes, metres from its centre.
        axis: ``(P,)`` the axis of the box's face that was met; for other shapes 2 for an end and 0 for the side.
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
    """``table[..., index]`` for indices known to be valid; not checking them saves half of the time."""
    return table.take(index, axis=-1, mode="clip")


def dot(a: np.ndarray | list[np.ndarray], b: np.ndarray | list[np.ndarray]) -> np.ndarray:
    """Scalar product over the first axis, of length 3."""
    result: np.ndarray = a[0] * b[0]
    result += a[1] * b[1]
    result += a[2] * b[2]
    return result


def first_hits(scene: Scene, camera: Camera, columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """z-depth ``(H, W)`` float32 and index ``(H, W)`` int16 of the first solid on every ray of `Camera.grid`."""
    seen, windows, crossing = _windows(scene, camera, columns, rows)
    of = np.concatenate([np.zeros(1, np.intp), seen])
    origin = np.einsum("nij,nj->ni", scene.to_local[of], camera.position - scene.centre[of])
    frame = np.einsum("nij,kj->nki", scene.to_local[of], camera.axes)
    # per solid: the direction (3), origin x direction (3), -origin . direction (1), the same in x and y only (1)
    (ox, oy, oz), (fx, fy, fz) = origin.T[:, :, None], frame.transpose(2, 0, 1)
    cross = np.stack([oy * fz - oz * fy, oz * fx - ox * fz, ox * fy - oy * fx], axis=2)
    along = -(origin[:, None] * frame)
    linear = np.concatenate([frame, cross, along.sum(2)[..., None], along[..., :2].sum(2)[..., None]], axis=2)
    linear = linear.astype(np.float32)[..., None]
    across = (linear[:, 2] + linear[:, 0] * columns)[:, :, None, :]
    upward = (linear[:, 1] * rows)[..., None]
    planes = np.stack([-1 - origin, 1 - origin]).astype(np.float32)[:, :, :, None, None]
    numbers, starts, shapes, stretches = (
        of.tolist(),
        origin.tolist(),
        scene.shape[of].tolist(),
        scene.stretch[of].tolist(),
    )

    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        direction = across[0, :3] + upward[0, :3]
        leave = np.maximum(planes[0, 0] / direction, planes[1, 0] / direction)
        depth = leave.min(axis=0)
        solid = (direction[0] > 0).astype(np.int16)
        for k in (1, 2):
            np.copyto(solid, 2 * k + (direction[k] > 0), where=leave[k] == depth)
        for s, (top, bottom, left, right) in enumerate(windows, start=1):
            terms = across[s, :, :, left:right], upward[s, :, top:bottom]
            if shapes[s] == Shape.BOX:
                t, far = _enter_box(*terms, starts[s])
            elif shapes[s] == Shape.ROUND:
                t, far = _enter_round(*terms, starts[s][2], stretches[s]), None
            else:
                t, far = _enter_cylinder(*terms, planes[:, s, 2])
            window = depth[top:bottom, left:right]
            nearer = t < (window if far is None else np.minimum(window, far))
            if crossing[s - 1]:
                nearer &= t > 0
            np.copyto(window, t, where=nearer)
            np.copyto(solid[top:bottom, left:right], numbers[s], where=nearer)
    return depth, solid


def _windows(
    scene: Scene, camera: Camera, columns: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, list[_Window], list[bool]]:
    """Solids that may be in view ``(S,)``, the rows and columns (top, bottom, left, right) that each may cover, and
    whether it reaches behind the camera."""
    reach = scene.half[ROOM_FACES:].copy()
    reach[:, 2] *= 1 + scene.stretch[ROOM_FACES:]
    to_camera = np.einsum("ki,nij->nkj", camera.axes, scene.axes[ROOM_FACES:]) * reach[:, None, :]
    middle = (scene.centre[ROOM_FACES:] - camera.position) @ camera.axes.T
    x, y, z = (to_camera @ _CORNERS.T + middle[:, :, None]).transpose(1, 0, 2)
    behind = z.max(axis=1) <= 0
    crossing = z.min(axis=1) <= 1e-3
    z = np.maximum(z, 1e-3)
    u, v = x / z, y / z
    left = np.where(crossing, 0, np.searchsorted(columns, u.min(axis=1), "left"))
    right = np.where(crossing, len(columns), np.searchsorted(columns, u.max(axis=1), "right"))
    top = np.where(crossing, 0, np.searchsorted(-rows, -v.max(axis=1), "left"))
    bottom = np.where(crossing, len(rows), np.searchsorted(-rows, -v.min(axis=1), "right"))
    seen = np.flatnonzero(~behind & (left < right) & (top < bottom))
    bounds = np.stack([top, bottom, left, right], axis=1)[seen].tolist()
    return seen + ROOM_FACES, [(b[0], b[1], b[2], b[3]) for b in bounds], crossing[seen].tolist()


def _enter_box(across: np.ndarray, upward: np.ndarray, start: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """t at which rays enter and leave the cube [-1, 1]^3; a ray that misses it leaves before it enters.

    ``start`` is outside, so that the only ways in are the faces it looks at, one per axis on which it is beyond 1.
    """
    near = far = None
    for k, d in enumerate(across[:3] + upward[:3]):
        o = start[k]
        if abs(o) > 1:
            side = math.copysign(1, o)
            enter = (side - o) / d
            leave = enter * ((-side - o) / (side - o))
            near = enter if near is None else np.maximum(near, enter, out=near)
        else:
            leave = np.copysign(np.float32(1), d)
            leave -= o
            leave /= d
        far = leave if far is None else np.minimum(far, leave, out=far)
    assert far is not None
    return np.full_like(far, np.inf) if near is None else near, far


def _enter_round(across: np.ndarray, upward: np.ndarray, start: float, stretch: float) -> np.ndarray:
    """t at which rays enter the unit sphere, or the capsule of radius 1 about the z axis; nan where they miss."""
    if stretch == 0:
        # |o|^2 |d|^2 - (o . d)^2 would cancel for a small distant sphere; |o x d|^2 does not
        both = across[:6] + upward[:6]
        both *= both
        square = both[:3].sum(axis=0)
        root = np.sqrt(square - both[3:].sum(axis=0))
        return (across[6] + upward[6] - root) / square
    x, y, z = across[:3] + upward[:3]
    flat = np.maximum(x * x + y * y, 1e-12)
    aside = across[5] + upward[5]
    inward = np.sqrt(flat - aside * aside)
    t = (across[7] + upward[7] - inward) / flat
    # beyond the straight part the ray goes on from the cylinder's wall to the half sphere at that end
    height = t * z + start
    beyond = height - np.minimum(np.maximum(height, -stretch), stretch)
    if not beyond.any():
        return t
    along = beyond * z - inward
    square = flat + z * z
    beyond *= beyond
    ball = t - (along + np.sqrt(along * along - square * beyond)) / square
    return np.where(beyond == 0, t, ball)


def _enter_cylinder(across: np.ndarray, upward: np.ndarray, planes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """t at which rays enter and leave the unit cylinder about z, -1 <= z <= 1."""
    x, y, z = across[:3] + upward[:3]
    flat = np.maximum(x * x + y * y, 1e-12)
    aside = across[5] + upward[5]
    root = np.sqrt(flat - aside * aside)
    middle = across[7] + upward[7]
    low, high = planes[0] / z, planes[1] / z
    near = np.maximum((middle - root) / flat, np.minimum(low, high))
    far = np.minimum((middle + root) / flat, np.maximum(low, high))
    return near, far


def cast(scene: Scene, camera: Camera, columns: np.ndarray, rows: np.ndarray) -> Surface:
    """The surfaces that the rays of `Camera.grid` meet first."""
    depth, hit = first_hits(scene, camera, columns, rows)
    solid, t = hit.ravel().astype(np.intp), depth.ravel()
    direction = _directions(camera, columns, rows)
    point = direction * t
    point += camera.position.astype(np.float32)[:, None]
    toward = direction * (-1 / np.sqrt(dot(direction, direction)))
    local, heading = _turned(scene, camera, solid, t, direction)

    # the face is the one through which the ray comes in, so that its normal always looks at the camera
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
    """``(3, P)`` directions of the rays, of length 1 along the line of sight."""
    right, up, forward = camera.axes.astype(np.float32)
    across = forward[:, None] + right[:, None] * columns
    grid = across[:, None, :] + (up[:, None] * rows)[:, :, None]
    return grid.reshape(3, -1)


def _turned(
    scene: Scene, camera: Camera, solid: np.ndarray, t: np.ndarray, direction: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Points and directions ``(3, P)`` in the axes of upright solids, the points from the solids' centres."""
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
    """``(N, k)`` as contiguous float32 ``(k, N)``."""
    return table.T.astype(np.float32, order="C")


def _face_normals(scene: Scene) -> np.ndarray:
    """``(3, 6 N)``: the world normal by which a ray enters, for each axis against and along it."""
    normals = np.repeat(scene.axes.transpose(0, 2, 1), 2, axis=1)
    normals[:, 1::2] *= -1
    for face in range(ROOM_FACES):
        normals[face] = 0
        normals[face, :, face // 2] = 1 - 2 * (face % 2)
    return normals.reshape(-1, 3).T.astype(np.float32).copy()


def _curved(
    scene: Scene, solid: np.ndarray, point: np.ndarray, toward: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Local points, axes and world normals on ellipsoids, capsules and cylinders."""
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
    # at the very silhouette rounding may turn a normal away from the camera by a hair
    facing = dot(normal, toward)
    away = np.flatnonzero(facing < 1e-4)
    if len(away):
        normal[:, away] += toward[:, away] * (1e-3 - facing[away])
        normal[:, away] /= np.sqrt(dot(normal[:, away], normal[:, away]))
    return local, np.where(end, 2, 0), normal
