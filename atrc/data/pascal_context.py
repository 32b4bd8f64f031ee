"""PASCAL-Context in the multi-task pack ``PASCAL_MT``: its facts, for building and counting networks.

The pack keeps human parts and boundaries in MATLAB files, which are not read yet: the dataset can be described, and
says so when it is opened.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from atrc.data._base import DATASETS, Dataset, DatasetInfo, Sample
from searchspace.errors import InputError

__all__ = ["PascalContext"]

CLASSES = [
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
]
PARTS = ["background", "head", "torso", "upper arms", "lower arms", "upper legs", "lower legs"]


@DATASETS.register("pascal_context")
class PascalContext(Dataset):
    """Five tasks, images padded to 512 x 512; 4998 for training, 5105 for validation.

    Args:
        split: ``train`` or ``val``.
        tasks: Any of the five.
        root: The folder ``PASCAL_MT``.

    Raises:
        InputError: Always, until the pack's MATLAB files can be read.
    """

    def __init__(self, split: str, tasks: Iterable[str], *, root: str | Path = "PASCAL_MT") -> None:
        raise InputError(
            f"dataset pascal_context at {root} cannot be opened: the MATLAB files of its human parts and boundaries "
            "are not read yet; its networks can be built and counted (atrc resources)"
        )

    @classmethod
    def describe(cls, **options: Any) -> DatasetInfo:
        tasks: dict[str, dict[str, Any]] = {
            "semseg": {"classes": CLASSES},
            "human_parts": {"classes": PARTS},
            "saliency": {},
            "normals": {},
            "edge": {"positive_weight": 0.95, "max_distance": 0.0075},
        }
        return DatasetInfo("PASCAL-Context", tasks, (512, 512))

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, index: int) -> Sample:
        raise NotImplementedError
