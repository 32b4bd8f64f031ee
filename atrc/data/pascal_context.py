"""PASCAL-Context in the multi-task pack ``PASCAL_MT`` of follow-up work (Vandenhende et al.)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from atrc.data._base import DATASETS, Dataset, DatasetInfo, Sample
from atrc.data.cache import fingerprint, hashed, kept_map
from atrc.data.decode import image_size, read_image, read_label, read_matlab
from atrc.data.derive import class_map
from atrc.data.errors import check_label, expect_size, named, no_root, times
from atrc.data.folder import locate, rooted
from atrc.data.pascal_labels import CLASSES, PARTS, class_boundaries, human_parts, known_normals, salient
from atrc.data.readable import IMAGE, sift
from atrc.data.reader import read_ids
from atrc.machine.files import cache_root
from atrc.tasks import TASKS
from searchspace.errors import InputError, UnknownNameError

__all__ = ["PascalContext"]

ROOT = "PASCAL_MT"
"""Default folder of the files."""
_NAME = "PASCAL-Context"
_SIZE = (512, 512)
_TASKS: Mapping[str, Mapping[str, Any]] = {
    "semseg": {"classes": CLASSES},
    "human_parts": {"classes": PARTS},
    "saliency": {},
    "normals": {},
    "edge": {"positive_weight": 0.95, "max_distance": 0.0075},
}
_SPLITS = {"train": "ImageSets/Context/train.txt", "val": "ImageSets/Context/val.txt"}
_DOWNLOAD = (
    "PASCAL_MT of https://github.com/SimonVandenhende/Multi-Task-Learning-PyTorch, unpacked; "
    "then --data PATH/PASCAL_MT, or ATRC_DATA=PATH"
)
_VERSION = 1
"""Part of every cache key. It is increased when the same files give other labels than before."""


@DATASETS.register("pascal_context")
class PascalContext(Dataset):
    """PASCAL-Context: five tasks, 4998 images for training and 5105 for validation.

    Images have up to 500 pixels a side and are padded to 512 x 512. The first use reads all files once, which takes a
    few minutes for the whole pack. So files that cannot be used are found before a training starts. Labels from
    MATLAB files are converted and kept.

    Args:
        split: ``train`` or ``val``.
        tasks: Any of semseg, human_parts, saliency, normals, edge.
        root: The folder ``PASCAL_MT``; relative to ``$ATRC_DATA``, if that is set.
        cached: Whether to keep the results of the first use. If False, nothing is read in advance or kept.
        skip_bad: Whether to leave out samples whose image or wanted labels cannot be used, instead of refusing the
            split.

    Attributes:
        ids: Ids of the samples, in the order of the split's file.

    Raises:
        InputError: The pack is missing or incomplete, or, if `cached`, a file in it cannot be used. The message names
            the file.
    """

    paths = ("root",)

    def __init__(
        self,
        split: str,
        tasks: Iterable[str],
        *,
        root: str | Path = ROOT,
        cached: bool = True,
        skip_bad: bool = False,
    ) -> None:
        self.info = self.describe(root=root)
        self.tasks = tuple(tasks)
        for task in self.tasks:
            if task not in _TASKS:
                raise UnknownNameError("task", task, _TASKS, f"dataset {_NAME}")
        if split not in _SPLITS:
            raise UnknownNameError("split", split, _SPLITS, f"dataset {_NAME}")
        self.reader = _Reader(locate(root), self.info.cache if cached else None)
        self.ids = read_ids(self.reader.root / _SPLITS[split], split)
        self._sifted = cached or skip_bad
        if self._sifted:
            folder = self.info.cache / f"{split}-readable" if cached else None
            title, parts = f"{_NAME}, {split}", [IMAGE, *self.tasks]
            self.skipped = sift(self.reader, self.ids, parts, folder, title, skip_bad=skip_bad)
            self.ids = [entry for entry in self.ids if entry not in self.skipped]

    @classmethod
    def with_full_paths(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Returns absolute paths as for a `Folder`; without a root in the options, it uses the default."""
        options = {"root": ROOT, **options}
        return rooted(super().with_full_paths(options), options)

    @classmethod
    def describe(  # type: ignore[override] # other options than these are refused
        cls, *, root: str | Path = ROOT, cached: bool = True, skip_bad: bool = False
    ) -> DatasetInfo:
        folder = cache_root() / "pascal_context" / hashed(str(locate(root).resolve()))
        return DatasetInfo(_NAME, {task: dict(facts) for task, facts in _TASKS.items()}, _SIZE, folder)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        entry = self.ids[index]
        image = self.reader.read(entry, IMAGE)
        return Sample(entry, image, self.reader.labels(entry, self.tasks, checked=self._sifted))


@dataclass(frozen=True)
class _Label:
    """The recipe of a task's labels.

    Attributes:
        make: Function of the files and the image's size ``(H, W)`` that returns the label.
        files: Patterns of the files; all are needed.
        instead: Alternative pattern of the first file.
        kept: Whether the map is cached because making it takes long.
    """

    make: Callable[[Sequence[Path], tuple[int, int]], np.ndarray]
    files: tuple[str, ...]
    instead: str | None = None
    kept: bool = False


def _label_map(file: Path, size: tuple[int, int]) -> np.ndarray:
    label_map = read_matlab(file, "LabelMap")
    if label_map.shape != size or label_map.dtype.kind not in "uif":
        raise InputError(
            f"{file}: LabelMap is {label_map.dtype} {times(label_map.shape)}, expected numbers, {times(size)}"
        )
    return label_map


_IMAGES = "JPEGImages/{id}.jpg"
_LABEL_MAPS = "pascal-context/trainval/{id}.mat"
_LABELS: Mapping[str, _Label] = {
    "semseg": _Label(
        lambda files, size: class_map(read_label(files[0])),
        ("semseg/VOC12/{id}.png",),
        instead="semseg/pascal-context/{id}.png",
    ),
    "human_parts": _Label(
        lambda files, size: human_parts(read_matlab(files[0], "anno"), size), ("human_parts/{id}.mat",), kept=True
    ),
    "saliency": _Label(lambda files, size: salient(read_label(files[0])), ("sal_distill/{id}.png",)),
    "normals": _Label(
        lambda files, size: known_normals(read_label(files[0]), _label_map(files[1], size)),
        ("normals_distill/{id}.png", _LABEL_MAPS),
    ),
    "edge": _Label(lambda files, size: class_boundaries(_label_map(files[0], size)), (_LABEL_MAPS,), kept=True),
}


class _Reader:
    """Reads the pack; see `atrc.data.readable.Reader`.

    Args:
        root: The pack.
        cache: Folder for maps that were made from MATLAB files; None keeps none.
    """

    def __init__(self, root: Path, cache: Path | None) -> None:
        if not root.is_dir():
            labels = (pattern for label in _LABELS.values() for pattern in label.files)
            raise InputError(no_root(root, _NAME, [*_SPLITS.values(), _IMAGES, *dict.fromkeys(labels)], _DOWNLOAD))
        self.root = root
        self.cache = cache
        self.labellers = {task: TASKS[task](**facts) for task, facts in _TASKS.items()}

    def facts(self, part: str) -> list[Any]:
        return [_VERSION, _TASKS.get(part)]

    def files(self, entry: str, part: str) -> list[Path]:
        image = self.root / _IMAGES.format(id=entry)
        if part == IMAGE:
            return [image]
        label = _LABELS[part]
        own = [self.root / pattern.format(id=entry) for pattern in label.files]
        if label.instead is not None and not own[0].exists():
            other = self.root / label.instead.format(id=entry)
            own[0] = other if other.exists() else own[0]
        return [*own, image]

    def read(self, entry: str, part: str) -> np.ndarray:
        if part != IMAGE:
            return self.labels(entry, [part])[part]
        (file,) = self.files(entry, IMAGE)
        image = read_image(file)
        if any(side > most for side, most in zip(image.shape, _SIZE, strict=False)):
            raise InputError(f"{file}: image is {times(image.shape[:2])}, larger than {times(_SIZE)}")
        return image

    def labels(self, entry: str, tasks: Iterable[str], *, checked: bool = False) -> dict[str, np.ndarray]:
        """Reads task name -> ``(H, W)`` or ``(H, W, C)``, see `atrc.data.Sample`.

        Args:
            entry: Id of the sample.
            tasks: Tasks whose labels are read.
            checked: Whether the values were checked before; if True, the slow check is skipped.

        Raises:
            InputError: A file is missing or unreadable, its size is not the image's, or it holds a value that is not
                allowed; the message names the file.
        """
        size = image_size(*self.files(entry, IMAGE))
        return {task: self._label(entry, task, size, checked) for task in tasks}

    def _label(self, entry: str, task: str, size: tuple[int, int], checked: bool) -> np.ndarray:
        files = self.files(entry, task)

        def make() -> np.ndarray:
            with named(files[0], task):
                label = _LABELS[task].make(files, size)
                expect_size(label, files[-1], size)
                if not checked:
                    check_label(self.labellers[task], label)
                return label

        if self.cache is None or not _LABELS[task].kept:
            return make()
        key = hashed([self.facts(task), *map(fingerprint, files)])
        return kept_map(self.cache / task / f"{entry}.png", key, make)
