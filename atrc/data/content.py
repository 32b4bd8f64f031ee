"""What a split holds, in a few characters: runs can say whether they saw the same data."""

from __future__ import annotations

import hashlib

import numpy as np

from atrc.data._base import Dataset

__all__ = ["content_hashes"]


def content_hashes(dataset: Dataset, samples: int = 32) -> dict[str, str]:
    """Hashes of the images and of the labels of every task: ``"image"``, or the task's name -> 16 characters.

    Each is of the number of samples, and of the ids and arrays of some. A change of a sample that is not among them
    is not seen, so this is a spot check; of a small split, of all there is.

    Args:
        dataset: A split.
        samples: The largest number that is read; they are evenly spaced.
    """
    found: dict[str, hashlib._Hash] = {}
    for index in np.linspace(0, len(dataset) - 1, min(len(dataset), samples)).round().astype(int):
        sample = dataset[int(index)]
        for name, array in {"image": sample.image, **sample.labels}.items():
            part = found.setdefault(name, hashlib.sha256(str(len(dataset)).encode()))
            part.update(f"{sample.id} {array.dtype} {array.shape}".encode())
            part.update(np.ascontiguousarray(array).data)
    return {name: part.hexdigest()[:16] for name, part in found.items()}
