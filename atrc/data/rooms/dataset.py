"""The embedded dataset `rooms`: rendered on first use, then read from memory-mapped files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from atrc.data._base import DATASETS, Dataset, DatasetInfo, Sample
from atrc.data.cache import fingerprint, hashed
from atrc.data.rooms.labels import CLASSES, PARTS
from atrc.data.rooms.renderer import SPLITS, VERSION, render
from atrc.machine.files import atomic_folder, cache_root
from searchspace.errors import InputError, UnknownNameError

__all__ = ["PROFILES", "Rooms"]

PROFILES: Mapping[str, tuple[str, ...]] = {
    "indoor": ("semseg", "depth", "normals", "edge"),
    "people": ("semseg", "human_parts", "saliency", "normals", "edge"),
}
"""Task lists that mirror those of NYUD-v2 and PASCAL-Context."""

_TASKS: Mapping[str, Mapping[str, Any]] = {
    "semseg": {"classes": list(CLASSES)},
    "depth": {},
    "normals": {},
    "edge": {"positive_weight": 0.8, "max_distance": 0.011},
    "human_parts": {"classes": list(PARTS)},
    "saliency": {},
}

# float16 changes normals by less than 0.03 degrees and halves the largest file; depth stays as rendered
_STORED: Mapping[str, tuple[tuple[int, ...], type[np.generic]]] = {
    "image": ((3,), np.uint8),
    "semseg": ((), np.uint8),
    "depth": ((), np.float32),
    "normals": ((3,), np.float16),
    "edge": ((), np.uint8),
    "human_parts": ((), np.uint8),
    "saliency": ((), np.uint8),
}


@dataclass(frozen=True)
class _Options:
    """The checked options of the dataset."""

    profile: str = "indoor"
    size: tuple[int, int] = (96, 128)
    train: int = 800
    val: int = 200
    seed: int = 0

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> _Options:
        """Reads and checks the options of a config."""
        names = [field.name for field in fields(cls)]
        for name in given:
            if name not in names:
                raise UnknownNameError("option", name, names, "dataset rooms")
        checked = dict(given)
        if "size" in given:
            checked["size"] = _checked_size(given["size"])
        options = cls(**checked)
        if options.profile not in PROFILES:
            raise UnknownNameError("profile", str(options.profile), PROFILES, "dataset rooms")
        for name, low in (("train", 1), ("val", 1), ("seed", 0)):
            value = getattr(options, name)
            if not _is_integer(value) or value < low:
                raise InputError(f"dataset rooms: {name} must be an integer >= {low}, but got {value!r}")
        return options

    def folder(self, split: str) -> Path:
        """Returns the folder of a split with these options, and of everything derived from it."""
        count = {"train": self.train, "val": self.val}[split]
        height, width = self.size
        return cache_root() / "rooms" / f"{split}{count}-seed{self.seed}-{height}x{width}-v{VERSION}"


def _is_integer(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _checked_size(value: object) -> tuple[int, int]:
    if (
        not isinstance(value, Sequence)
        or isinstance(value, str)
        or len(value) != 2
        or not all(_is_integer(side) and side >= 16 for side in value)
    ):
        raise InputError(f"dataset rooms: size must be [height, width], two integers >= 16, but got {value!r}")
    return (int(value[0]), int(value[1]))


@DATASETS.register("rooms")
class Rooms(Dataset):
    """Indoor scenes with furniture and mannequins, rendered by `atrc.data.rooms.renderer`; nothing is downloaded.

    The first use renders a split into the cache folder (a thousand images of the default size take half a minute
    on one core and 210 MB); later uses map the files. Images have exact labels for ``semseg``, ``depth``,
    ``normals``, ``edge``, ``human_parts`` and ``saliency``; any subset of these can be chosen.

    Args:
        split: ``"train"`` or ``"val"``.
        tasks: Tasks whose labels are wanted.
        profile: ``"indoor"`` or ``"people"``: the tasks that `describe` names.
        size: ``(H, W)`` in pixels, each at least 16.
        train, val: Number of images per split. A longer split starts with the images of a shorter one.
        seed: Seed of the rooms.

    Raises:
        UnknownNameError: An unknown split, task, profile or option.
        InputError: An option's value is out of range.
    """

    def __init__(self, split: str, tasks: Iterable[str], **options: Any) -> None:
        checked = _Options.read(options)
        if split not in SPLITS:
            raise UnknownNameError("split", str(split), SPLITS, "dataset rooms")
        self.tasks = tuple(tasks)
        for task in self.tasks:
            if task not in _TASKS:
                raise UnknownNameError("task", str(task), _TASKS, "dataset rooms")
        self.split = split
        self.info = self.describe(**options)
        self._length = checked.train if split == "train" else checked.val
        # a subfolder, since other derived data may be written before the images
        self._folder = checked.folder(split) / "images"
        self._maps: dict[str, np.ndarray] = {}
        if not self._folder.is_dir():
            _render_split(self._folder, checked.seed, split, self._length, checked.size)
        self._source = hashed([fingerprint(self._folder / f"{name}.npy") for name in _STORED])

    @classmethod
    def describe(cls, **options: Any) -> DatasetInfo:
        """Returns name, tasks of the profile, size and cache folder; renders nothing."""
        checked = _Options.read(options)
        tasks = {task: dict(_TASKS[task]) for task in PROFILES[checked.profile]}
        return DatasetInfo("Rooms", tasks, checked.size, checked.folder("train"))

    @property
    def source(self) -> str:
        return self._source

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Sample:
        """Returns sample ``index``, 0 <= ``index`` < ``len(self)``; its arrays may be changed by the caller.

        Raises:
            IndexError: There is no such sample.
            InputError: A cached file is missing or damaged.
        """
        if not 0 <= index < self._length:
            raise IndexError(f"sample {index} of {self._length}")
        labels = {}
        for task in self.tasks:
            label = np.array(self._map(task)[index])
            if task == "normals":
                label = label.astype(np.float32)
                label /= np.sqrt((label * label).sum(axis=-1, keepdims=True))
            labels[task] = label
        return Sample(f"{self.split}_{index:05d}", np.array(self._map("image")[index]), labels)

    def __getstate__(self) -> dict[str, Any]:
        # a pickled memory map is a copy of the whole file; data-loader workers open their own
        return {**self.__dict__, "_maps": {}}

    def _map(self, name: str) -> np.ndarray:
        """Returns the memory-mapped array ``(count, H, W, ...)`` of a stored map."""
        if name not in self._maps:
            path = self._folder / f"{name}.npy"
            try:
                self._maps[name] = np.load(path, mmap_mode="r")
            except (OSError, ValueError) as error:
                raise InputError(
                    f"dataset rooms: {path} cannot be read ({error}); delete {self._folder} to render it again"
                ) from error
        return self._maps[name]


def _render_split(folder: Path, seed: int, split: str, count: int, size: tuple[int, int]) -> None:
    """Renders a whole split into ``folder``, which appears only when it is complete."""
    with atomic_folder(folder) as temporary:
        maps = {
            name: np.lib.format.open_memmap(temporary / f"{name}.npy", "w+", dtype, (count, *size, *channels))
            for name, (channels, dtype) in _STORED.items()
        }
        for index in tqdm(range(count), desc=f"rendering rooms ({split})", unit="image"):
            rendering = render(seed, split, index, size)
            for name, stored in maps.items():
                stored[index] = getattr(rendering, name)
        for stored in maps.values():
            stored.flush()
