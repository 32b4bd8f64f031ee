"""Batches whose order and augmentation follow from the seed and the step number alone.

The order of epoch ``e`` is a permutation drawn from ``(seed, e)``, and sample ``i`` of that epoch is augmented with a
generator seeded by ``(seed, e, i)``. Batch ``step`` is therefore the same whoever asks for it, in whatever order and
with however many worker processes, and a resumed run needs nothing but its step number.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader

from atrc.data._base import Dataset
from atrc.data.batch import Batch, collate
from atrc.data.transforms import Compose
from atrc.tasks import Task
from searchspace.errors import InputError

__all__ = ["BatchLoader", "evaluation_batches"]


class BatchLoader:
    """Endless shuffled, augmented training batches of a dataset; the last, incomplete batch of an epoch is dropped.

    Example::

        loader = BatchLoader(dataset, tasks, train_transform(dataset.info.size), batch_size=8, seed=0, workers=4)
        for step, batch in enumerate(loader.iterate(start), start):
            ...

    Args:
        dataset: What to draw from.
        tasks: Task name -> task, for every label of the dataset's samples.
        transform: The augmentation.
        batch_size: Samples per batch.
        seed: Non-negative; the order of the samples and their augmentation follow from it.
        workers: Processes that prepare batches in the background; 0 prepares them when they are asked for.
        pin: Give batches in page-locked memory, for a GPU.

    Raises:
        InputError: ``batch_size`` is not positive or larger than the dataset, or the seed is negative.
    """

    def __init__(
        self,
        dataset: Dataset,
        tasks: Mapping[str, Task],
        transform: Compose,
        *,
        batch_size: int,
        seed: int,
        workers: int = 0,
        pin: bool = False,
    ) -> None:
        if not 0 < batch_size <= len(dataset):
            raise InputError(
                f"batch_size must be from 1 to the number of training samples, "
                f"but got batch_size={batch_size} for {dataset.extent}"
            )
        if seed < 0:
            raise InputError(f"seed must not be negative, got {seed}")
        self.dataset = dataset
        self.tasks = tasks
        self.transform = transform
        self.batch_size = batch_size
        self.seed = seed
        self.workers = workers
        self.pin = pin

    @property
    def steps_per_epoch(self) -> int:
        """Complete batches in one pass over the dataset."""
        return len(self.dataset) // self.batch_size

    def indices(self, step: int) -> list[int]:
        """The dataset indices of batch ``step``, counted over all epochs from 0."""
        epoch, position = divmod(step, self.steps_per_epoch)
        order = _generator(self.seed, epoch).permutation(len(self.dataset))
        return order[position * self.batch_size : (position + 1) * self.batch_size].tolist()

    def batch(self, step: int) -> Batch:
        """Batch ``step``, counted over all epochs from 0.

        Raises:
            InputError: A file of the dataset cannot be read; the message names it.
        """
        epoch = step // self.steps_per_epoch
        return collate(
            [
                self.transform(self.dataset[index], self.tasks, _generator(self.seed, epoch, index))
                for index in self.indices(step)
            ]
        )

    def iterate(self, start: int = 0, stop: int | None = None) -> Iterator[Batch]:
        """Batches ``start``, ``start + 1``, ... up to but without ``stop``; endless if ``stop`` is None."""
        steps = range(start, sys.maxsize if stop is None else stop)
        return _fetch(_Steps(self), steps, self.workers, self.pin)

    def __iter__(self) -> Iterator[Batch]:
        return self.iterate()


def evaluation_batches(
    dataset: Dataset,
    tasks: Mapping[str, Task],
    transform: Compose,
    *,
    batch_size: int = 1,
    workers: int = 0,
    pin: bool = False,
) -> Iterator[Batch]:
    """Every sample once, in the dataset's order; the last batch may be smaller.

    Args:
        dataset: What to go through.
        tasks: Task name -> task, for every label of the dataset's samples.
        transform: Usually `atrc.data.transforms.eval_transform`. A random one is seeded by the sample's index.
        batch_size: Samples per batch.
        workers: See `BatchLoader`.
        pin: See `BatchLoader`.
    """
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, got {batch_size}")
    chunks = _Chunks(dataset, tasks, transform, batch_size)
    return _fetch(chunks, range(-(-len(dataset) // batch_size)), workers, pin)


def _generator(seed: int, *key: int) -> np.random.Generator:
    # A spawn key and not SeedSequence((seed, *key)), in which trailing zeros make no difference: the order of an
    # epoch would share its stream with the augmentation of sample 0.
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


@dataclass(frozen=True)
class _Steps:
    """Training batches as a map from step to batch."""

    loader: BatchLoader

    def __getitem__(self, step: int) -> Batch:
        return self.loader.batch(step)


@dataclass(frozen=True)
class _Chunks:
    """Evaluation batches as a map from number to batch."""

    dataset: Dataset
    tasks: Mapping[str, Task]
    transform: Compose
    batch_size: int

    def __getitem__(self, number: int) -> Batch:
        start = number * self.batch_size
        stop = min(start + self.batch_size, len(self.dataset))
        return collate(
            [self.transform(self.dataset[index], self.tasks, _generator(0, 0, index)) for index in range(start, stop)]
        )


@dataclass(frozen=True)
class _Caught:
    """Gives an input error as a value: torch would wrap a worker's exception in its whole traceback."""

    batches: _Steps | _Chunks

    def __getitem__(self, number: int) -> Batch | str:
        try:
            return self.batches[number]
        except InputError as error:
            return str(error)


def _fetch(batches: _Steps | _Chunks, numbers: range, workers: int, pin: bool) -> Iterator[Batch]:
    """The numbered batches in order, prepared by ``workers`` processes."""
    if workers == 0:
        for number in numbers:
            batch = batches[number]
            yield batch.pin_memory() if pin else batch
        return
    queue: DataLoader[Batch | str] = DataLoader(
        _Caught(batches),  # type: ignore[arg-type]
        batch_size=None,
        sampler=numbers,
        num_workers=workers,
        pin_memory=pin,
        # Torch seeds its workers from the global generator unless it is given one; the model's dropout must not
        # depend on how often a loader was started.
        generator=torch.Generator(),
    )
    for item in queue:
        if isinstance(item, str):
            raise InputError(item)
        yield item
