"""Hashes of a split's content, by which runs can tell whether they used the same data."""

from __future__ import annotations

import hashlib

import numpy as np

from atrc.data._base import Dataset

__all__ = ["content_hashes"]

_KNOWN: dict[tuple[str, int, tuple[str, ...]], dict[str, str]] = {}
"""`Dataset.source`, number of samples to read, and tasks -> hashes, of this process."""


def content_hashes(dataset: Dataset, samples: int = 32) -> dict[str, str]:
    """Returns hashes of the images and of every task's labels: ``"image"`` or the task's name -> 16 characters.

    Each hash covers the number of samples, and the ids and arrays of some samples. This is a spot check: it does not
    see changes of other samples. For a small split it covers all samples.

    Args:
        dataset: A split.
        samples: Largest number of samples to read; they are evenly spaced.
    """
    source = dataset.source
    if source is None:
        return _hashes(dataset, samples)
    key = source, samples, tuple(dataset[0].labels)
    if key not in _KNOWN:
        _KNOWN[key] = _hashes(dataset, samples)
    return dict(_KNOWN[key])


def _hashes(dataset: Dataset, samples: int) -> dict[str, str]:
    found: dict[str, hashlib._Hash] = {}
    for index in np.linspace(0, len(dataset) - 1, min(len(dataset), samples)).round().astype(int):
        sample = dataset[int(index)]
        for name, array in {"image": sample.image, **sample.labels}.items():
            part = found.setdefault(name, hashlib.sha256(str(len(dataset)).encode()))
            part.update(f"{sample.id} {array.dtype} {array.shape}".encode())
            part.update(np.ascontiguousarray(array).data)
    return {name: part.hexdigest()[:16] for name, part in found.items()}
