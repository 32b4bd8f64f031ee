"""Reads boundary maps from files, pairs predictions with ground truth by name, and counts their matches."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from atrc.data.decode import has_palette, read_label, read_matlab
from atrc.metrics import BoundaryCounts, BoundaryF
from searchspace import InputError

__all__ = ["BoundaryPair", "BoundaryTruth", "count_pairs", "pair_files", "read_prediction", "read_truth"]

PREDICTIONS = (".png", ".npy")
TRUTHS = (".png", ".npy", ".mat")


class BoundaryPair(NamedTuple):
    """The files of one image. The name is their common path below the two folders, without suffix."""

    name: str
    prediction: Path
    truth: Path


class BoundaryTruth(NamedTuple):
    """The ground truth of one image.

    Attributes:
        annotators: ``(K, H, W)`` bool, True where each of K annotators saw a boundary.
        valid: ``(H, W)`` bool, the pixels that count.
        mark: The value that marks boundaries in the file, or None if the file has no boundary.
    """

    annotators: np.ndarray
    valid: np.ndarray
    mark: float | None


def pair_files(predictions: Path, truths: Path, names: Sequence[str] | None = None) -> list[BoundaryPair]:
    """Pairs every prediction with its ground truth by name. Files of other types are ignored.

    Args:
        predictions: Folder of PNG and NPY files; it may have subfolders.
        truths: Folder of PNG, NPY and MAT files with the same names.
        names: The images to pair, such as the ids of a split; by default all in both folders.

    Raises:
        InputError: A file has no partner, two files of a folder have one name, or there are no files.
    """
    predicted, true = _named_files(predictions, PREDICTIONS), _named_files(truths, TRUTHS)
    if names is not None:
        for name in names:
            if name not in true:
                raise InputError(f"{name} has no ground truth in {truths}")
        predicted, true = ({name: of[name] for name in names if name in of} for of in (predicted, true))
    _refuse_lone(sorted(true.keys() - predicted.keys()), true, "prediction", predictions)
    _refuse_lone(sorted(predicted.keys() - true.keys()), predicted, "ground truth", truths)
    return [BoundaryPair(name, predicted[name], true[name]) for name in sorted(true)]


def _named_files(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder" if folder.exists() else f"{folder} does not exist")
    named: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.name.startswith(".") or path.suffix.lower() not in suffixes or not path.is_file():
            continue
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in named:
            raise InputError(f"{path} and {named[name].name} are two maps of one image")
        named[name] = path
    if not named:
        raise InputError(f"{folder} holds no {', '.join(suffixes[:-1])} or {suffixes[-1]} file")
    return named


def _refuse_lone(names: Sequence[str], files: dict[str, Path], partner: str, folder: Path) -> None:
    if names:
        others = f", nor have {len(names) - 1} more" if len(names) > 1 else ""
        raise InputError(f"{files[names[0]]} has no {partner} in {folder}{others}")


def read_prediction(path: Path) -> np.ndarray:
    """Reads a map of boundary probability, ``(H, W)`` float32.

    Args:
        path: A grey PNG, whose 8 or 16 bits are divided by 255 or 65535, or an NPY file of floats in 0..1.

    Raises:
        InputError: The file cannot be read, has several channels, or holds other values.
    """
    values = _one_channel(path, read_label(path))
    if path.suffix.lower() == ".png":
        if has_palette(path):
            raise InputError(f"{path} is a palette image, whose indices are no probabilities: expected grey")
        # Older versions of Pillow give 16 bits as int32.
        most = {"b": 1, "u": 8 * values.itemsize, "i": 16}[values.dtype.kind]
        return values.astype(np.float32) / np.float32(2**most - 1)
    if values.dtype.kind != "f":
        raise InputError(f"{path} holds {values.dtype}: expected floats, boundary probability in 0..1")
    if not ((values >= 0) & (values <= 1)).all():
        found = "NaN" if np.isnan(values).any() else f"{values.min():g} .. {values.max():g}"
        raise InputError(f"{path} holds {found}: boundary probability lies in 0..1")
    return values.astype(np.float32)


def read_truth(path: Path, ignore: float | None = None) -> BoundaryTruth:
    """Reads the boundaries that each annotator of an image saw.

    A map holds 0 where there is no boundary, and one other value where there is: 1, 255, ...

    Args:
        path: A PNG of one channel, an NPY file, or a MAT file of BSDS500: ``groundTruth`` is a cell array of one
            struct per annotator, whose field ``Boundaries`` is the map.
        ignore: Value of pixels that do not count. One annotator's value is enough. None: all pixels count.

    Raises:
        InputError: The file cannot be read, or holds no such map.
    """
    maps = _annotators(path) if path.suffix.lower() == ".mat" else [_one_channel(path, read_label(path))]
    for one in maps[1:]:
        if one.shape != maps[0].shape:
            raise InputError(f"{path}: one annotator's map is {_size(maps[0])}, another's {_size(one)}")
    labels = np.stack(maps)
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise InputError(f"{path} holds values that are not finite")
    marks = [float(value) for value in np.unique(labels) if value not in (0, ignore)]
    if len(marks) > 1:
        listed = ", ".join(f"{mark:g}" for mark in marks[:3]) + (", ..." if len(marks) > 3 else "")
        raise InputError(
            f"{path} holds {listed} besides 0, but only one value may mark boundaries; "
            "give the value of pixels that do not count with --ignore"
        )
    valid = np.ones(labels.shape[1:], dtype=bool) if ignore is None else (labels != ignore).all(0)
    return BoundaryTruth((labels != 0) & valid, valid, marks[0] if marks else None)


def _annotators(path: Path) -> list[np.ndarray]:
    cells = read_matlab(path, "groundTruth")
    if cells.dtype != object or cells.size == 0:
        raise InputError(f"{path}: 'groundTruth' is no cell array of annotators")
    maps = []
    for cell in cells.ravel():
        if getattr(cell, "size", 0) != 1 or "Boundaries" not in (cell.dtype.names or ()):
            raise InputError(f"{path}: an annotator of 'groundTruth' is no struct with a field 'Boundaries'")
        label = np.asarray(cell["Boundaries"].item())
        if label.ndim != 2 or label.dtype.kind not in "buif":
            raise InputError(f"{path}: 'Boundaries' is {label.dtype} {label.shape}: expected numbers as H x W")
        maps.append(_one_channel(path, label))
    return maps


def _one_channel(path: Path, label: np.ndarray) -> np.ndarray:
    if label.ndim != 2 or label.size == 0:
        raise InputError(f"{path} is {_size(label)}: expected a map of one channel, H x W")
    return label


def _size(label: np.ndarray) -> str:
    return "x".join(map(str, label.shape))


def count_pairs(
    pairs: Sequence[BoundaryPair],
    metric: BoundaryF,
    *,
    ignore: float | None = None,
    jobs: int = 1,
    quiet: bool = False,
) -> BoundaryCounts:
    """Counts the matches of N images at T thresholds, ``(N, T)``, in the order of the pairs.

    Args:
        pairs: The files; at most ``jobs`` pairs are in memory at a time.
        metric: Metric with the tolerance and the thresholds; it is not changed.
        ignore: See `read_truth`.
        jobs: Number of threads.
        quiet: True for no progress bar.

    Raises:
        InputError: A file cannot be used, the two maps of an image differ in size, or two ground truths mark
            boundaries by different values.
    """

    def count(pair: BoundaryPair) -> tuple[BoundaryCounts, float | None]:
        prediction, truth = read_prediction(pair.prediction), read_truth(pair.truth, ignore)
        if prediction.shape != truth.valid.shape:
            raise InputError(f"{pair.prediction} is {_size(prediction)}, but {pair.truth} is {_size(truth.valid)}")
        return metric.count(prediction, list(truth.annotators), truth.valid), truth.mark

    counted: list[np.ndarray] = []
    marked: dict[float, Path] = {}
    pool = ThreadPoolExecutor(jobs)
    try:
        with tqdm(total=len(pairs), desc="boundaries", unit="image", disable=quiet) as bar:
            for pair, (counts, mark) in zip(pairs, pool.map(count, pairs), strict=True):
                counted.append(np.stack(counts))
                if mark is not None:
                    _refuse_other_mark(marked, mark, pair.truth)
                bar.update()
    finally:
        pool.shutdown(cancel_futures=True)  # after an error, pending pairs are dropped
    return BoundaryCounts(*np.stack(counted, axis=1))


def _refuse_other_mark(marked: dict[float, Path], mark: float, path: Path) -> None:
    """Raises InputError if files mark boundaries by different values.

    If 255 marks pixels that do not count, a file without boundaries would else seem to mark boundaries by 255.
    """
    marked.setdefault(mark, path)
    if len(marked) > 1:
        (one, first), (other, second) = marked.items()
        raise InputError(
            f"{second} marks boundaries by {other:g}, {first} by {one:g}; all maps must use one value, "
            "and --ignore gives the value of pixels that do not count"
        )
