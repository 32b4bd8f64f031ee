"""The classes of the rooms, and the label maps that are computed from the instance map."""

from __future__ import annotations

import functools

import numpy as np

__all__ = ["CLASSES", "CLASS_INDEX", "FREE_STANDING", "PARTS", "PERSON", "instance_edges", "salient"]

CLASSES = (
    "wall",
    "floor",
    "ceiling",
    "door",
    "window",
    "picture",
    "rug",
    "bed",
    "sofa",
    "chair",
    "table",
    "cabinet",
    "tv",
    "lamp",
    "plant",
    "box",
    "ball",
    "person",
)
"""Names of the semseg classes; the index is the label."""

CLASS_INDEX = {name: index for index, name in enumerate(CLASSES)}

PERSON = CLASS_INDEX["person"]

PARTS = ("background", "head", "torso", "upper arms", "lower arms", "upper legs", "lower legs")
"""Names of the human_parts classes: the six groups of PASCAL-Part. Hands count as lower arms, feet as lower legs."""

FREE_STANDING = tuple(
    CLASS_INDEX[name] for name in ("bed", "sofa", "chair", "table", "cabinet", "tv", "lamp", "plant", "box", "ball")
)
"""Classes of the solids that may be salient if no person is in view."""


def instance_edges(instances: np.ndarray) -> np.ndarray:
    """Returns the instance boundaries, one pixel wide.

    A pixel is an edge if its instance differs from that of its right or of its lower neighbour (the upper left
    side of every boundary). The last column has no right neighbour, the last row no lower one.

    Args:
        instances: ``(H, W)`` integers.

    Returns:
        ``(H, W)`` uint8, 1 = edge.
    """
    edge = np.zeros(instances.shape, np.uint8)
    edge[:, :-1] |= instances[:, :-1] != instances[:, 1:]
    edge[:-1] |= instances[:-1] != instances[1:]
    return edge


@functools.lru_cache(maxsize=4)
def _centrality(size: tuple[int, int]) -> np.ndarray:
    """Returns ``exp(-2 r^2)`` of every pixel, ``(H, W)``."""
    rows, columns = (np.exp(-2 * np.linspace(-1, 1, side) ** 2) for side in size)
    return np.outer(rows, columns)


def salient(semseg: np.ndarray, instances: np.ndarray) -> np.ndarray:
    """Returns the saliency map: all persons, or, if there are none, the most prominent free-standing solid.

    Prominence is the visible area, in which a pixel counts ``exp(-2 r^2)``. Here r is its distance from the centre of
    the image (1 = half the image's side, for each axis). Without persons and solids the map is empty.

    Args:
        semseg: ``(H, W)`` class map.
        instances: ``(H, W)`` instance ids, none negative.

    Returns:
        ``(H, W)`` uint8, 1 = salient.
    """
    persons = semseg == PERSON
    if persons.any():
        return persons.astype(np.uint8)
    free = np.isin(np.arange(len(CLASSES)), FREE_STANDING)
    prominence = np.bincount(instances.ravel(), (_centrality(semseg.shape) * free[semseg]).ravel())
    best = int(prominence.argmax())
    if prominence[best] == 0:
        return np.zeros(semseg.shape, np.uint8)
    return (instances == best).astype(np.uint8)
