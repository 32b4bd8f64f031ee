"""The interface of a dataset: images, each with one label map per task."""

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
        labels: Task name -> ``(H, W)`` or ``(H, W, C)`` array with the size of the image or of `DatasetInfo.grid`.
            Class maps are uint8 with 255 = ignore; edge and saliency are class maps of 0 and 1. Depth is float32
            metres, 0 = invalid. Normals are float32 unit vectors (x right, y up, z towards the camera, so a visible
            surface has z > 0), zero = invalid.
    """

    id: str
    image: np.ndarray
    labels: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class DatasetInfo:
    """Facts of a dataset that are known before any file is opened.

    Attributes:
        name: Name for titles and tables.
        tasks: Task name -> keyword arguments of the task's class, e.g. ``{"semseg": {"classes": [...]}}``.
        size: ``(H, W)`` at which images are trained and evaluated.
        cache: Folder for data that is derived from this dataset (centroids, decoded images).
        grid: ``(h, w)`` of the label maps if they differ from the image's size, else None. Such images are not
            scaled, cropped or mirrored, since the labels could not follow.
    """

    name: str
    tasks: Mapping[str, Mapping[str, Any]]
    size: tuple[int, int]
    cache: Path = field(default_factory=Path)
    grid: tuple[int, int] | None = None


class Dataset(PathOptions, ABC):
    """A split of a dataset; ``dataset[i]`` is a `Sample`.

    Subclasses are built as ``Class(split, tasks, **options)``: the split's name (``"train"`` or ``"val"``), the
    names of the tasks whose labels are wanted, and the options of the config's ``dataset`` section.

    Attributes:
        info: Facts of the dataset.
        skipped: Samples that were left out because they cannot be read: id -> error message.
    """

    info: DatasetInfo
    skipped: Mapping[str, str] = MappingProxyType({})

    @property
    def source(self) -> str | None:
        """Text that differs from that of every split with other samples or changed files; None if none is known.

        It is that of the time when the split was opened. What is computed from the samples, such as hashes and the
        fit of a task, is kept under it as long as the process lives.
        """
        return None

    @classmethod
    @abstractmethod
    def describe(cls, **options: Any) -> DatasetInfo:
        """Returns the facts of the dataset from its options alone, without opening or downloading files."""

    @classmethod
    def answer(cls, **options: Any) -> Answer | None:
        """Returns the context that every target needs from every source; None if it is unknown.

        It uses the options only. Analyses compare found genotypes with it. Networks and strategies have no access to
        it.
        """
        return None

    def remarks(self, index: int) -> Sequence[str]:
        """Returns remarks on legal but suspicious properties of a sample's files; `atrc.data.check` shows them."""
        return ()

    @property
    def extent(self) -> str:
        """Number of samples, in words for messages."""
        return f"{len(self)} samples of {self.info.name}"

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> Sample:
        """Returns sample ``index``, 0 <= ``index`` < ``len(self)``.

        Raises:
            InputError: A file is missing, unreadable or of the wrong shape; the message names it.
        """


def skipped_samples(**splits: Dataset) -> dict[str, dict[str, str]]:
    """Returns split -> id -> error message of the samples that were left out, for the splits that have any."""
    return {name: dict(split.skipped) for name, split in splits.items() if split.skipped}
