"""Checks a whole dataset and summarises its labels.

Checks do not stop at the first problem. `check_dataset` names every file that cannot be used. `inspect_dataset` adds
a table with the shares of the classes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from tqdm import tqdm

from atrc.data._base import DATASETS, Dataset, Sample
from atrc.tasks import IGNORE, TASKS, Task
from searchspace.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DatasetReport", "Finding", "check_dataset", "inspect_dataset"]


@dataclass(frozen=True)
class Finding:
    """A problem of one sample or split.

    Attributes:
        split: Name of the split.
        id: Id of the sample; empty if the problem concerns the whole split.
        message: Description of the problem, with the file if there is one.
        severity: An ``"error"`` keeps the sample from being used; a ``"warning"`` does not.
    """

    split: str
    id: str
    message: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        place = f"{self.split} {self.id}".strip()
        return f"{self.severity}: {place}: {self.message}"


@dataclass(frozen=True)
class DatasetReport:
    """The result of `inspect_dataset`.

    Attributes:
        problems: All problems, in the order of the splits and samples.
        samples: Split -> number of samples that could be read.
        statistics: One row per split, task and class that occurs, or per split and measured task, with the columns
            ``split``, ``task``, ``class`` (index; missing for a measured task), ``name``, ``share`` (of the labelled
            pixels), ``images`` (number of samples with it), ``labelled`` (share of all pixels of the task that carry
            a label), and ``mean``, ``minimum``, ``maximum`` of a measured map with one channel.
    """

    problems: list[Finding]
    samples: Mapping[str, int]
    statistics: pd.DataFrame


def check_dataset(dataset: str, *, splits: Sequence[str] | None = None, **options: Any) -> list[Finding]:
    """Returns all problems of a dataset, from every sample of every split.

    Args:
        dataset: Registered name, e.g. ``"folder"``.
        splits: Names of the splits; by default all that the dataset names, or train and val.
        options: Options of the dataset's class, e.g. ``root`` and ``spec``.

    Raises:
        InputError: The options cannot be used, so that there are no samples to check.
    """
    return inspect_dataset(dataset, splits=splits, **options).problems


def inspect_dataset(dataset: str, *, splits: Sequence[str] | None = None, **options: Any) -> DatasetReport:
    """Returns the problems of `check_dataset` and statistics of the labels.

    The statistics use the labels that the dataset returns, so class shares are those at the training size. (`Folder`
    checks the values before it resizes.)
    """
    import pandas as pd  # deferred: training imports this package too and needs no tables

    cls = DATASETS[dataset]
    info = cls.describe(**options)
    tasks = {name: TASKS[name](**arguments) for name, arguments in info.tasks.items()}
    if "cached" in _options_of(cls):
        options = {**options, "cached": False}  # one bad file would stop the building of the cache
    if splits is None:
        splits = cls.splits(**options) if hasattr(cls, "splits") else ("train", "val")
    problems: list[Finding] = []
    tallies = {(split, name): _Tally(task) for split in splits for name, task in tasks.items()}
    samples: dict[str, int] = {}
    found_in: dict[str, str] = {}
    for split in splits:
        samples[split] = 0

        def open_with(names: Sequence[str], split: str = split) -> Dataset:
            return cls(split, names, **options)  # type: ignore[call-arg]

        try:
            whole = open_with(list(tasks))
        except InputError as error:
            problems.append(Finding(split, "", str(error)))
            continue
        walk = _walk(whole, open_with, list(tasks), f"{info.name}, {split}: checking")
        for index, (sample, complaints) in enumerate(walk):
            problems += [Finding(split, sample.id, complaint) for complaint in complaints]
            samples[split] += not complaints
            problems += [Finding(split, sample.id, remark, "warning") for remark in whole.remarks(index)]
            if (other := found_in.setdefault(sample.id, split)) != split:
                problems.append(Finding(split, sample.id, f"also in split {other!r}", "warning"))
            problems += _look_at(sample, split, tasks, tallies)
    rows = [{"split": s, "task": name} | row for (s, name), tally in tallies.items() for row in tally.rows()]
    return DatasetReport(problems, samples, pd.DataFrame(rows, columns=_COLUMNS))


def _look_at(
    sample: Sample, split: str, tasks: Mapping[str, Task], tallies: Mapping[tuple[str, str], _Tally]
) -> list[Finding]:
    """Counts the labels of one sample, and returns the problems with their values."""
    problems = []
    remarks: dict[str, list[str]] = {}
    for name, label in sample.labels.items():
        complaint = tasks[name].check_label(label)
        if complaint is not None:
            problems.append(Finding(split, sample.id, f"{name}: {complaint}"))
            continue
        tallies[split, name].add(label)
        remark = _remark(label, tasks[name])
        if remark is not None:
            remarks.setdefault(remark, []).append(name)
    for remark, names in remarks.items():
        problems.append(Finding(split, sample.id, f"{', '.join(names)}: {remark}", "warning"))
    return problems


_COLUMNS = ["split", "task", "class", "name", "share", "images", "labelled", "mean", "minimum", "maximum"]


def _walk(
    whole: Dataset, open_with: Callable[[Sequence[str]], Dataset], names: Sequence[str], title: str
) -> Iterator[tuple[Sample, list[str]]]:
    """Yields every sample with all error messages about it. Labels that cannot be read are left out."""
    parts: dict[tuple[str, ...], Dataset] = {}
    for index in tqdm(range(len(whole)), desc=title, unit="image"):
        try:
            yield whole[index], []
            continue
        except InputError as error:
            complaints = [str(error)]
        # One bad file hides the others of the sample, so the image and each label are read separately.
        sample = Sample(_id_of(whole, index), np.zeros((0, 0, 3), np.uint8), {})
        for wanted in [(), *((name,) for name in names)]:
            if wanted not in parts:
                parts[wanted] = open_with(wanted)
            try:
                part = parts[wanted][index]
                sample = Sample(part.id, part.image, {**sample.labels, **part.labels})
            except InputError as error:
                complaints.append(str(error))
        yield sample, list(dict.fromkeys(complaints))


def _id_of(dataset: Dataset, index: int) -> str:
    """Returns the id of a sample that cannot be read."""
    ids = getattr(dataset, "ids", None)
    return str(ids[index] if ids is not None else index)


def _options_of(cls: type[Dataset]) -> set[str]:
    return set(inspect.signature(cls).parameters)


def _remark(label: np.ndarray, task: Task) -> str | None:
    """Returns a remark on a legal but suspicious label (nothing labelled, or only background), or None."""
    if not task.valid(label).any():
        return "every pixel is ignored (255)" if task.fill == IGNORE else "no pixel has a value"
    if task.fill != IGNORE:
        return None
    present = np.unique(label)
    if ((present == 0) | (present == IGNORE)).all():
        return "every labelled pixel is 0: all background, an empty label map?"
    return None


@dataclass
class _Tally:
    """Counts of one task in one split."""

    task: Task
    pixels: int = 0
    labelled: int = 0
    counts: np.ndarray = field(default_factory=lambda: np.zeros(IGNORE, np.int64))
    images: np.ndarray = field(default_factory=lambda: np.zeros(IGNORE, np.int64))
    samples: int = 0
    total: float = 0.0
    minimum: float = np.inf
    maximum: float = -np.inf

    def add(self, label: np.ndarray) -> None:
        self.samples += 1
        self.pixels += label.shape[0] * label.shape[1]
        if self.task.fill == IGNORE:
            counts = np.bincount(label.ravel(), minlength=IGNORE + 1)[:IGNORE]
            self.counts += counts
            self.images += counts > 0
            self.labelled += int(counts.sum())
            return
        measured = label[label.any(axis=-1)] if label.ndim == 3 else label[label != 0]
        self.labelled += len(measured)
        if label.ndim == 2 and len(measured):
            self.total += float(measured.sum(dtype=np.float64))
            self.minimum = min(self.minimum, float(measured.min()))
            self.maximum = max(self.maximum, float(measured.max()))

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yields rows of `DatasetReport.statistics`, without split and task."""
        if self.samples == 0:
            return
        labelled = self.labelled / self.pixels
        if self.task.fill != IGNORE:
            row: dict[str, Any] = {"images": self.samples, "labelled": labelled}
            if np.isfinite(self.minimum):
                row |= {
                    "mean": self.total / self.labelled,
                    "minimum": self.minimum,
                    "maximum": self.maximum,
                }
            yield row
            return
        names = getattr(self.task, "classes", None)
        for index in np.flatnonzero(self.counts):
            yield {
                "class": int(index),
                "name": names[index] if names is not None else str(index),
                "share": self.counts[index] / self.labelled,
                "images": int(self.images[index]),
                "labelled": labelled,
            }
