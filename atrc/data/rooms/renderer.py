"""Renders an image of a random room with its label maps, which depend on (seed, split, index) only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from atrc.data.rooms.camera import Camera
from atrc.data.rooms.labels import instance_edges, salient
from atrc.data.rooms.layout import furnish
from atrc.data.rooms.lights import Lighting, lights
from atrc.data.rooms.raycast import Surface, cast
from atrc.data.rooms.scene import Dice, Scene, pack
from atrc.data.rooms.shading import develop, shade
from atrc.data.rooms.viewpoint import view
from searchspace.errors import UnknownNameError

__all__ = ["SPLITS", "VERSION", "Rendering", "compose", "render"]

VERSION = 1
"""Version of the renderer.

It increases with every change of a pixel or a label. Caches of other versions are not read."""

SPLITS = {"train": 0, "val": 1}

_POPULATED = 0.78


@dataclass(frozen=True)
class Rendering:
    """An image and all its labels; H x W pixels.

    Attributes:
        image: ``(H, W, 3)`` uint8 sRGB.
        semseg: ``(H, W)`` uint8, index into `labels.CLASSES`.
        depth: ``(H, W)`` float32, z-depth in metres.
        normals: ``(H, W, 3)`` float32 unit vectors, x right, y up, z towards the camera. Every normal has a
            positive product with the direction to the camera; off the image's middle its z may be slightly negative.
        edge: ``(H, W)`` uint8, see `labels.instance_edges`.
        human_parts: ``(H, W)`` uint8, index into `labels.PARTS`.
        saliency: ``(H, W)`` uint8, see `labels.salient`.
        instances: ``(H, W)`` int32; 0..5 are the room's faces.
    """

    image: np.ndarray
    semseg: np.ndarray
    depth: np.ndarray
    normals: np.ndarray
    edge: np.ndarray
    human_parts: np.ndarray
    saliency: np.ndarray
    instances: np.ndarray


def render(seed: int, split: str, index: int, size: tuple[int, int] = (96, 128), oversample: int = 1) -> Rendering:
    """Renders image ``index`` of a split. The same arguments always give the same bits.

    Args:
        seed: The dataset's seed, >= 0.
        split: ``"train"`` or ``"val"``; their images have no random number in common.
        index: Number of the image, >= 0.
        size: ``(H, W)`` in pixels.
        oversample: Number of rays per pixel and axis that the image averages; labels do not change. The dataset uses
            1; pictures for print look better with 3.

    Raises:
        UnknownNameError: There is no such split.
    """
    if split not in SPLITS:
        raise UnknownNameError("split", split, SPLITS)
    rng = np.random.default_rng(np.random.SeedSequence((seed, SPLITS[split], index)))
    dice = Dice(rng)
    layout = furnish(dice, populated=dice.chance(_POPULATED))
    lighting = lights(dice, layout.room, layout.placed)
    return compose(pack(layout.room, layout.placed), view(layout), lighting, size, rng, oversample)


def compose(
    scene: Scene,
    camera: Camera,
    lighting: Lighting,
    size: tuple[int, int],
    rng: np.random.Generator,
    oversample: int = 1,
) -> Rendering:
    """Renders image and labels of a scene, see `render`. Labels come from the ray through each pixel's centre."""
    pixel = 2 * camera.tangent / size[1]
    surface = cast(scene, camera, *camera.grid(size))
    if oversample == 1:
        light = shade(scene, surface, lighting, pixel)
    else:
        fine = (size[0] * oversample, size[1] * oversample)
        light = shade(scene, cast(scene, camera, *camera.grid(fine)), lighting, pixel / oversample)
        light = light.reshape(3, size[0], oversample, size[1], oversample).mean(axis=(2, 4))
    return _label(scene, surface, camera, develop(light, rng))


def _label(scene: Scene, surface: Surface, camera: Camera, image: np.ndarray) -> Rendering:
    """Returns the label maps of the surfaces that a grid of rays met."""
    solid = surface.solid.reshape(surface.size)
    semseg, instances = scene.semseg[solid], scene.instance[solid]
    right, up, forward = camera.axes.astype(np.float32)
    normals = surface.normal.T @ np.stack([right, up, -forward], axis=1)
    return Rendering(
        image=image,
        semseg=semseg,
        depth=surface.depth.reshape(surface.size),
        normals=normals.reshape(*surface.size, 3),
        edge=instance_edges(instances),
        human_parts=scene.part[solid],
        saliency=salient(semseg, instances),
        instances=instances,
    )
