"""What a dataset is: photographs or renderings, each with one label map per task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from atrc.data.answer import Answer
from searchspace.paths import PathOptions
from searchspace.registry import Registry

__all__ = ["DATASETS", "Dataset", "DatasetInfo", "Sample", "skipped_samples"]

DATASETS: Registry[type[Dataset]] = Registry("dataset", "atrc.datasets")


@dataclass(frozen=True)
class Sample:
    """One image with its labels.

    Attributes:
        id: Unique within the split; names files.
        image: ``(H, W, 3)`` uint8 RGB.
        labels: Task name -> ``(H, W)`` or ``(H, W, C)`` array, of the image's size, or of `DatasetInfo.grid`. Class
            maps are uint8 with 255 = ignore; edge and saliency are class maps 0 / 1; depth is float32 metres, 0 =
            invalid; normals are float32 unit vectors (x right, y up, z towards the camera, so a visible surface has
            z > 0), zero = invalid.
    """

    id: str
    image: np.ndarray
    labels: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a dataset before a file is opened.

    Attributes:
        name: For titles and tables.
        tasks: Task name -> keyword arguments of the task's class, e.g. ``{"semseg": {"classes": [...]}}``.
        size: ``(H, W)`` at which images are trained and evaluated.
        cache: The folder where derived data of this dataset (centroids, decoded images) is kept.
        grid: ``(h, w)`` of the label maps, where they are not of the image's size. Such images are neither scaled nor
            cropped nor mirrored, since labels would not follow.
    """

    name: str
    tasks: Mapping[str, Mapping[str, Any]]
    size: tuple[int, int]
    cache: Path = field(default_factory=Path)
    grid: tuple[int, int] | None = None


class Dataset(PathOptions, ABC):
    """A split of a dataset; ``dataset[i]`` is a `Sample`.

    Subclasses are built as ``Class(split, tasks, **options)``: the split's name (``"train"`` or ``"val"``), the
    tasks whose labels are wanted, and the options of the config's ``dataset`` section.

    Attributes:
        info: The dataset's facts.
        skipped: Samples that were left out because they cannot be read: id -> what is wrong.
    """

    info: DatasetInfo
    skipped: Mapping[str, str] = MappingProxyType({})

    @classmethod
    @abstractmethod
    def describe(cls, **options: Any) -> DatasetInfo:
        """The dataset's facts, from the options alone: opens no image and needs no download."""

    @classmethod
    def answer(cls, **options: Any) -> Answer | None:
        """Which context every target needs of every source, from the options alone; None where nobody knows.

        Analyses compare with it what was found. Networks and strategies have no way to it.
        """
        return None

    def remarks(self, index: int) -> Sequence[str]:
        """What is allowed in the files of sample ``index`` but may not be meant; `atrc.data.check` shows it."""
        return ()

    @property
    def extent(self) -> str:
        """How many samples there are, in words for messages."""
        return f"{len(self)} samples of {self.info.name}"

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> Sample:
        """Sample ``index`` of ``range(len(self))``.

        Raises:
            InputError: The file is missing, unreadable or of the wrong shape; the message names it.
        """


def skipped_samples(**splits: Dataset) -> dict[str, dict[str, str]]:
    """Split -> id -> what is wrong, of the splits that lack samples."""
    return {name: dict(split.skipped) for name, split in splits.items() if split.skipped}
