"""A user's own dataset: a folder of images and labels, and a short YAML file that describes them.

See `atrc.data.spec` for the YAML and `atrc.data.derive` for labels that are made from other labels. Decoded and
resized arrays are kept on the disk (`atrc.data.cache`), so that training reads no image file twice.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np
from tqdm import tqdm

from atrc.data._base import DATASETS, Dataset, DatasetInfo, Sample
from atrc.data.cache import fingerprint, hashed
from atrc.data.readable import HINT, IMAGE, refuse_absent, sift
from atrc.data.reader import FolderReader, read_ids, task_options
from atrc.data.spec import FolderSpec, load_spec, shipped_specs
from atrc.machine.files import atomic_folder, cache_root
from searchspace.errors import InputError, UnknownNameError

__all__ = ["Folder"]

_VERSION = 1
"""Part of every cache key. It is increased when the same files give other arrays than before."""


@DATASETS.register("folder")
class Folder(Dataset):
    """A split of a dataset in a folder.

    Example::

        train = Folder("train", ["semseg", "edge"], root="~/photos", spec="photos.yaml", size=(96, 64))

    Args:
        split: A split of the spec.
        tasks: Names of the tasks whose labels are wanted; may be empty.
        root: Folder that the paths of the spec are relative to. It is itself relative to ``$ATRC_DATA``, if that is
            set.
        spec: Path of the YAML, the name of a shipped one (``"ccp"``, ``"nyud"``), or its content as a mapping.
        size: ``(H, W)`` of images and labels, instead of the spec's.
        cached: Whether to keep decoded, resized arrays on the disk. They take ``H * W`` times 3 bytes per image, 1
            per class map, 4 per depth map and 12 per map of normals. If False, every access decodes the files again.
        skip_bad: Whether to leave out samples whose image or wanted labels cannot be used, instead of refusing the
            split. To find them, all samples are read once.

    Attributes:
        info: Facts of the dataset, with all tasks of the spec.
        ids: Ids of the samples, in the order of the split file.
        skipped: Samples that were left out: id -> error message.

    Raises:
        InputError: The spec, the root, a split file or, if `cached`, any image or label cannot be used. The message
            names the file.
    """

    paths = ("spec", "root")

    def __init__(
        self,
        split: str,
        tasks: Iterable[str],
        *,
        root: str | Path | None = None,
        spec: str | Path | Mapping[str, Any] | None = None,
        size: Sequence[int] | None = None,
        cached: bool = True,
        skip_bad: bool = False,
        **unknown: Any,
    ) -> None:
        description = _load(spec, unknown)
        if root is None:
            raise InputError(f"dataset folder: give 'root', the folder of {description.name}'s files")
        self.info = _info(description, root, size)
        self.tasks = tuple(tasks)
        for task in self.tasks:
            if task not in description.tasks:
                raise UnknownNameError("task", task, description.tasks, f"dataset {self.info.name}")
        if split not in description.splits:
            raise UnknownNameError("split", split, description.splits, f"dataset {self.info.name}")
        self.split = split
        exact = not description.resample and size is None
        self.reader = FolderReader(description, locate(root), self.info.size, exact)
        self.ids = read_ids(self.reader.root / description.splits[split], split, description.exclude)
        if skip_bad:
            self._skip_bad()
        self._source: str | None = None
        self._arrays = self._cached_arrays() if cached else None

    @classmethod
    def with_full_paths(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Returns absolute paths, except for the name of a shipped spec and for a root below ``$ATRC_DATA``."""
        found = rooted(super().with_full_paths(options), options)
        return {**found, "spec": options["spec"]} if _shipped(options.get("spec")) else found

    @classmethod
    def describe(
        cls,
        *,
        root: str | Path | None = None,
        spec: str | Path | Mapping[str, Any] | None = None,
        size: Sequence[int] | None = None,
        cached: bool = True,
        skip_bad: bool = False,
        **unknown: Any,
    ) -> DatasetInfo:
        """Returns the dataset's facts from the spec. The root is needed only for class names in a JSON file."""
        return _info(_load(spec, unknown), root, size)

    @classmethod
    def splits(cls, *, spec: str | Path | Mapping[str, Any], **_: Any) -> tuple[str, ...]:
        """Returns the names of all splits of a spec; takes the options of the class."""
        return tuple(load_spec(spec).splits)

    @property
    def source(self) -> str | None:
        return self._source

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        entry = self.ids[index]
        if self._arrays is not None:
            labels = {task: self._arrays[task][index] for task in self.tasks}
            return Sample(entry, self._arrays[IMAGE][index], labels)
        labels = self.reader.labels(entry, self.tasks)
        return Sample(entry, self.reader.image(entry), labels)

    def remarks(self, index: int) -> list[str]:
        return self.reader.remarks(self.ids[index])

    @property
    def _title(self) -> str:
        return f"{self.info.name}, {self.split}"

    def _skip_bad(self) -> None:
        folder = self.info.cache / f"{self.split}-readable"
        self.skipped = sift(self.reader, self.ids, [IMAGE, *self.tasks], folder, self._title, skip_bad=True)
        self.ids = [entry for entry in self.ids if entry not in self.skipped]

    def _cached_arrays(self) -> dict[str, np.ndarray]:
        """Returns array name -> ``(N, H, W)`` or ``(N, H, W, C)`` memory-map, and builds those that are missing."""
        folders = {name: self._cache_folder(name) for name in (IMAGE, *self.tasks)}
        missing = {name: folder for name, folder in folders.items() if not folder.is_dir()}
        if missing:
            refuse_absent(self.reader, self.ids, list(missing), self._title)
            self._build(missing)
        # The name of a folder says which files of the dataset its array was made from.
        self._source = hashed([fingerprint(folder / "array.npy") for folder in folders.values()])
        # A plain ndarray over the map: indexing an np.memmap costs more than reading a small image.
        return {name: np.asarray(np.load(folder / "array.npy", mmap_mode="r")) for name, folder in folders.items()}

    def _cache_folder(self, name: str) -> Path:
        """Returns the cache folder of an array. Its name has hashes of everything that determines the content."""
        files = [file for entry in self.ids for file in self.reader.files(entry, name)]
        rule = hashed([_VERSION, self.reader.facts(name), self.ids])
        content = hashed([fingerprint(file) for file in files])
        return self.info.cache / f"{self.split}-{name}-{rule}-{content}"

    def _build(self, folders: Mapping[str, Path]) -> None:
        """Decodes every sample once and writes the arrays. Folders appear only when they are complete."""
        try:
            with ExitStack() as stack:
                writers = {
                    name: _ArrayWriter(stack.enter_context(atomic_folder(folder)), len(self), stack)
                    for name, folder in folders.items()
                }
                for entry in tqdm(self.ids, desc=f"{self._title}: decoding", unit="image"):
                    arrays = self.reader.labels(entry, [name for name in writers if name != IMAGE])
                    if IMAGE in writers:
                        arrays[IMAGE] = self.reader.image(entry)
                    for name, array in arrays.items():
                        complaint = writers[name].append(array)
                        if complaint is not None:
                            raise InputError(f"{self.reader.label_file(entry, name)} ({name}): {complaint}")
                for writer in writers.values():
                    writer.close()
        except InputError as error:
            raise InputError(f"{error} ({HINT})") from None
        except OSError as error:
            raise InputError(
                f"{self.info.cache}: cannot write decoded images ({error.strerror or error}); "
                f"set ATRC_CACHE to another folder, or cached: false"
            ) from None
        for folder in folders.values():
            _remove_outdated(folder)


class _ArrayWriter:
    """Writes ``array.npy`` item by item. (Through a memory-map, a full disk would kill the process.)"""

    def __init__(self, folder: Path, length: int, stack: ExitStack) -> None:
        self.folder = folder
        self.length = length
        self.file: IO[bytes] = stack.enter_context((folder / "array.npy").open("wb"))
        self.kind: tuple[np.dtype[Any], tuple[int, ...]] | None = None

    def append(self, array: np.ndarray) -> str | None:
        """Writes one item. Returns a message if its type or shape differs from those before."""
        if self.kind is None:
            self._start(array)
        if self.kind != (array.dtype, array.shape):
            return f"{array.dtype} {array.shape}, but the labels before are {self.kind}"
        self.file.write(np.ascontiguousarray(array).tobytes())
        return None

    def close(self) -> None:
        self.file.close()

    def _start(self, array: np.ndarray) -> None:
        self.kind = (array.dtype, array.shape)
        needed, free = array.nbytes * self.length, shutil.disk_usage(self.folder).free
        if needed > free:
            raise OSError(f"{needed / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free")
        header = {
            "descr": np.lib.format.dtype_to_descr(array.dtype),
            "fortran_order": False,
            "shape": (self.length, *array.shape),
        }
        np.lib.format.write_array_header_1_0(self.file, header)


def _load(spec: str | Path | Mapping[str, Any] | None, unknown: Mapping[str, Any]) -> FolderSpec:
    for name in unknown:
        raise UnknownNameError("option", name, ("root", "spec", "size", "cached", "skip_bad"), "dataset folder")
    if spec is None:
        raise InputError(f"dataset folder: give 'spec', a YAML file or one of {', '.join(shipped_specs())}")
    return load_spec(spec)


def _shipped(spec: Any) -> bool:
    """Returns whether a spec is the name of a shipped one, and no file in the working directory has this name."""
    return isinstance(spec, str) and spec in shipped_specs() and not Path(spec).is_file()


def locate(root: str | Path) -> Path:
    """Returns the folder of a dataset. Relative paths start at ``$ATRC_DATA``, if set, or the working directory."""
    return Path(os.environ.get("ATRC_DATA", "")).expanduser() / Path(root).expanduser()


def rooted(full: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options with absolute paths, but with the given ``root`` if it lies below ``$ATRC_DATA``."""
    below = "root" in options and os.environ.get("ATRC_DATA")
    return {**full, "root": options["root"]} if below else dict(full)


def _info(spec: FolderSpec, root: str | Path | None, size: Sequence[int] | None) -> DatasetInfo:
    chosen = spec.size if size is None else tuple(size)
    if chosen is None:
        raise InputError(f"dataset {spec.name}: give a size, [height, width], in its spec or as an option")
    if len(chosen) != 2 or any(not isinstance(side, int) or side < 1 for side in chosen):
        raise InputError(f"size must be [height, width], both at least 1, but got {list(chosen)}")
    folder = None if root is None else locate(root)
    place = "" if folder is None else str(folder.resolve())
    slug = re.sub(r"[^a-z0-9]+", "-", spec.name.lower()).strip("-")
    return DatasetInfo(
        name=spec.name,
        tasks=task_options(spec, folder),
        size=(chosen[0], chosen[1]),
        cache=cache_root() / "folder" / f"{slug}-{chosen[0]}x{chosen[1]}-{hashed([place])}",
    )


def _remove_outdated(folder: Path) -> None:
    """Removes earlier versions of an array: same rule and samples, but files that have changed since."""
    for other in folder.parent.glob(f"{folder.name.rpartition('-')[0]}-*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
