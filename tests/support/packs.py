"""Small packs in the exact layout of ``NYUD_MT`` and ``PASCAL_MT``, of rendered rooms.

As a command, ``python tests/support/packs.py nyud FOLDER TRAIN VAL`` (or ``pascal``) writes one.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.io import savemat

from atrc.data.rooms.labels import CLASSES
from atrc.data.rooms.renderer import Rendering, render

PART_NAMES = {1: "head", 2: "torso", 3: "luarm", 4: "rlarm", 5: "luleg", 6: "rfoot"}
"""One part of a person for each of the six groups."""

CONTEXT = dict(enumerate((440, 158, 68, 115, 454, 287, 330, 18, 368, 72, 397, 46, 427, 144, 420, 37, 10, 284)))
"""A class of PASCAL-Context for every class of the rooms; a fence (144) and a tree (420) have no normals."""
VOC = {"bed": 255, "sofa": 18, "chair": 9, "table": 11, "tv": 20, "plant": 16, "person": 15}
"""The classes of VOC among those of the rooms; beds are not labelled, everything else is background."""


def write_nyud(root: Path, train: int = 3, val: int = 2, size: tuple[int, int] = (425, 560)) -> Path:
    """A pack of NYUD-v2: classes 1..40 and 0 for none, depth with holes, normals with unknown pixels."""
    for split, count in (("train", train), ("val", val)):
        ids = [f"{split}{index:04d}" for index in range(count)]
        _write_lines(root / "gt_sets" / f"{split}.txt", ids)
        for index, entry in enumerate(ids):
            room = render(0, split, index, size)
            hole = np.zeros(size, bool)
            hole[: size[0] // 8, size[1] // 3 : size[1] // 2] = True
            save_image(root / "images" / f"{entry}.jpg", room.image)
            save_image(root / "segmentation" / f"{entry}.png", np.where(hole, 0, 2 * room.semseg + 1))
            _save_array(root / "depth" / f"{entry}.npy", np.where(hole, 0, room.depth).astype(np.float32))
            _save_array(root / "normals" / f"{entry}.npy", np.where(hole[..., None], 0, room.normals))
            _save_array(root / "edge" / f"{entry}.npy", room.edge.astype(np.float32))
    return root


def write_pascal(
    root: Path, train: int = 3, val: int = 2, sizes: Sequence[tuple[int, int]] = ((375, 500), (500, 333), (281, 500))
) -> Path:
    """A pack of PASCAL-Context: images of several sizes, some without persons, semseg in both of its places."""
    for split, count in (("train", train), ("val", val)):
        ids = [f"2008_{index + 1000 * (split == 'val'):06d}" for index in range(count)]
        _write_lines(root / "ImageSets" / "Context" / f"{split}.txt", ids)
        for index, entry in enumerate(ids):
            room = render(1, split, index, sizes[index % len(sizes)])
            place = "VOC12" if index % 2 == 0 else "pascal-context"
            save_image(root / "JPEGImages" / f"{entry}.jpg", room.image)
            save_image(root / "semseg" / place / f"{entry}.png", _looked_up(room.semseg, _voc()))
            save_image(root / "sal_distill" / f"{entry}.png", room.saliency * 200)
            save_image(root / "normals_distill" / f"{entry}.png", np.rint((room.normals + 1) * 127.5))
            label_map = _looked_up(room.semseg, CONTEXT).astype(np.uint16)
            save_matlab(root / "pascal-context" / "trainval" / f"{entry}.mat", LabelMap=label_map)
            save_matlab(root / "human_parts" / f"{entry}.mat", anno=anno(room, entry))
    return root


def anno(room: Rendering, entry: str) -> np.ndarray:
    """The struct of PASCAL-Part: a chair without parts, and a person with those that are in view, if any."""
    chair = ("chair", 9, (room.semseg == CLASSES.index("chair")).astype(np.uint8), np.zeros((0, 0)))
    objects = [chair]
    shown = [group for group in PART_NAMES if (room.human_parts == group).any()]
    if shown:
        parts = _struct(
            part_name=[PART_NAMES[group] for group in shown],
            mask=[(room.human_parts == group).astype(np.uint8) for group in shown],
        )
        objects.append(("person", 15, (room.human_parts > 0).astype(np.uint8), parts))
    names, numbers, masks, parts_of = zip(*objects, strict=True)
    listed = _struct(**{"class": names, "class_ind": numbers, "mask": masks, "parts": parts_of})
    return _struct(imname=[entry], objects=[listed])


def _struct(**fields: Sequence[Any]) -> np.ndarray:
    """A MATLAB struct array ``(1, n)`` from a list of values for every field."""
    (count,) = {len(values) for values in fields.values()}
    struct = np.empty((1, count), dtype=[(name, object) for name in fields])
    for name, values in fields.items():
        for index, value in enumerate(values):
            struct[name][0, index] = value
    return struct


def _voc() -> dict[int, int]:
    return {index: VOC.get(name, 0) for index, name in enumerate(CLASSES)}


def _looked_up(values: np.ndarray, lookup: dict[int, int]) -> np.ndarray:
    table = np.zeros(256, np.int64)
    table[list(lookup)] = list(lookup.values())
    return table[values]


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def save_image(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array.astype(np.uint8)).save(path, quality=90)


def _save_array(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)


def save_matlab(path: Path, **variables: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, variables, do_compression=True)


if __name__ == "__main__":
    {"nyud": write_nyud, "pascal": write_pascal}[sys.argv[1]](Path(sys.argv[2]), *map(int, sys.argv[3:5]))
