"""Parts of a training split: one to train weights, and one that is held out to learn or choose architectures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from atrc.data._base import Dataset, DatasetInfo, Sample
from searchspace.errors import InputError

__all__ = ["Subset", "hold_out"]


class Subset(Dataset):
    """A part of a dataset.

    Args:
        dataset: The whole dataset.
        indices: Indices of the samples, in the order of the part.
        note: Text that follows the number of samples in messages.
    """

    def __init__(self, dataset: Dataset, indices: Sequence[int], note: str = "") -> None:
        self.dataset = dataset
        self.info = dataset.info
        self.skipped = dataset.skipped
        self._indices = list(indices)
        self._note = note

    @classmethod
    def describe(cls, **options: Any) -> DatasetInfo:
        raise NotImplementedError("a subset is made of an open dataset")

    @property
    def extent(self) -> str:
        return super().extent + self._note

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Sample:
        return self.dataset[self._indices[index]]


def hold_out(dataset: Dataset, share: float) -> tuple[Subset, Subset]:
    """Splits a training set at random, always in the same way, so that all runs hold out the same samples.

    Args:
        dataset: Dataset with at least two samples.
        share: Share of the samples to hold out, in (0, 1).

    Returns:
        The part to train weights on, and the part that is held out; each has at least one sample.
    """
    count = len(dataset)
    if count < 2:
        raise InputError(
            f"{dataset.info.name} has {count} training samples, but at least 2 are needed to hold one out"
        )
    order = np.random.default_rng(0).permutation(count).tolist()
    held = min(max(1, round(share * count)), count - 1)
    note = f" ({held} of {count} training images are held out; held_out={share:g})"
    return Subset(dataset, sorted(order[held:]), note), Subset(dataset, sorted(order[:held]), note)
