"""What a split holds, in sixteen characters: two runs can say whether they saw the same data."""

from __future__ import annotations

import hashlib

import numpy as np

from atrc.data._base import Dataset

__all__ = ["content_hash"]


def content_hash(dataset: Dataset, samples: int = 32) -> str:
    """A hash of the number of samples, and of the ids, images and labels of some of them.

    A change of a sample that is not among them is not seen, so this is a spot check; of small splits, of all there
    is.

    Args:
        dataset: A split.
        samples: At most so many, evenly spaced, are read.
    """
    found = hashlib.sha256(str(len(dataset)).encode())
    for index in np.linspace(0, len(dataset) - 1, min(len(dataset), samples)).round().astype(int):
        sample = dataset[int(index)]
        found.update(sample.id.encode())
        for name, array in (("image", sample.image), *sorted(sample.labels.items())):
            found.update(f"{name} {array.dtype} {array.shape}".encode())
            found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()[:16]
