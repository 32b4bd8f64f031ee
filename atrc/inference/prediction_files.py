"""Writes decoded predictions to files while a split is evaluated: ``TASK/ID.png`` or ``TASK/ID.npy``."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePath

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from atrc.data import Batch, image_windows
from atrc.inference.evaluation import as_label
from atrc.machine.files import write_errors_as_input_errors, writing
from atrc.tasks import Task
from searchspace import InputError

__all__ = ["PredictionFiles", "folder_of_each_run"]


class PredictionFiles:
    """A writer of decoded maps, called with every batch of a split. It keeps no map in memory.

    A map covers the sample as the dataset gives it, without the padding of the batch. What a file holds is the
    task's choice, see `atrc.tasks.Task.stored`. A file appears when it is whole, and replaces one of an earlier
    evaluation. The id of a sample names its files; a slash in it makes a subfolder. One object is for one pass over
    one split.

    Example::

        evaluate_split(config, predictor, split, save=PredictionFiles(Path("maps"), predictor.tasks))

    Args:
        folder: Folder for the folders of tasks; made with the first file.
        tasks: The tasks whose maps are written.

    Raises:
        InputError: The folder is a file.
    """

    def __init__(self, folder: Path, tasks: Mapping[str, Task]) -> None:
        self.folder = folder
        self.tasks = tasks
        self._named: set[PurePath] = set()
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file: give a folder for the predictions")

    def __call__(self, batch: Batch, decoded: Mapping[str, Tensor]) -> None:
        """Writes the maps of one batch.

        Args:
            batch: The batch, with the ids and the valid pixels of its samples.
            decoded: Task -> ``(B, H, W)`` or ``(B, C, H, W)``, on any device; not changed.

        Raises:
            InputError: An id leads out of the folder or occurred before, or a file cannot be written. The message
                names the id or the file.
        """
        places = [self._place(entry) for entry in batch.ids]
        maps = {name: decoded[name].cpu() for name in self.tasks}
        wanted = [
            (self.folder / name / place, self.tasks[name], as_label(one)[window])
            for name, of_batch in maps.items()
            for place, one, window in zip(places, of_batch, image_windows(batch.valid), strict=True)
        ]
        # Packing takes most of the time and releases Python's lock; the files themselves are written one by one.
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            packed = pool.map(lambda one: pack(one[1].stored(one[2])), wanted)
            for (path, *_), (suffix, content) in zip(wanted, packed, strict=True):
                path = path.with_name(path.name + suffix)
                with write_errors_as_input_errors(path), writing(path) as file:
                    file.write(content)

    def _place(self, entry: str) -> PurePath:
        """Returns the path of a sample's files below the task's folder, without suffix."""
        place = sample_path(entry)
        if place in self._named:
            raise InputError(
                f"two samples of the split have the id {entry!r}, so their predictions would have one file"
            )
        self._named.add(place)
        return place


def sample_path(entry: str) -> PurePath:
    """Returns a sample's id as a relative path.

    Raises:
        InputError: The id is empty or leads out of the folder.
    """
    path = PurePath(entry)
    if not path.name or path.anchor or ".." in path.parts or "\0" in entry:
        raise InputError(f"sample id {entry!r} cannot name a file inside the folder of the predictions")
    return path


def pack(stored: Image.Image | np.ndarray) -> tuple[str, bytes]:
    """Returns the suffix and the content of a file: PNG for a picture, NPY for an array."""
    content = io.BytesIO()
    if isinstance(stored, Image.Image):
        stored.save(content, format="PNG")
        return ".png", content.getvalue()
    np.save(content, np.ascontiguousarray(stored), allow_pickle=False)
    return ".npy", content.getvalue()


def folder_of_each_run(folder: Path, runs: Iterable[Path]) -> dict[Path, Path]:
    """Returns run -> folder of its predictions: ``folder`` for one run, a subfolder for each of several runs.

    The subfolder is the run's path below the nearest folder that holds all runs: ``multi/seed0``, ``retrain/seed0``.
    """
    absolute = {run: Path(os.path.abspath(run)) for run in runs}
    if len(absolute) == 1:
        return dict.fromkeys(absolute, folder)
    shared = os.path.commonpath([path.parent for path in absolute.values()])
    return {run: folder / path.relative_to(shared) for run, path in absolute.items()}
