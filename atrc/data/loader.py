"""Batches whose order and augmentation depend on the seed and the step number only.

The order of epoch ``e`` is a permutation drawn from ``(seed, e)``, and sample ``i`` of that epoch is augmented with a
generator seeded by ``(seed, e, i)``. Batch ``step`` is therefore always the same: it does not depend on earlier
batches or on the number of worker processes. A resumed run needs its step number only.
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
    """An endless stream of shuffled, augmented training batches; the last, incomplete batch of an epoch is dropped.

    Example::

        loader = BatchLoader(dataset, tasks, train_transform(dataset.info.size), batch_size=8, seed=0, workers=4)
        for step, batch in enumerate(loader.iterate(start), start):
            ...

    Args:
        dataset: Dataset to draw from.
        tasks: Task name -> task, for every label of the dataset's samples.
        transform: The augmentation.
        batch_size: Samples per batch.
        seed: Seed of the order of the samples and of their augmentation; not negative.
        workers: Number of processes that prepare batches in the background; at 0, batches are prepared on request.
        pin: Whether batches are in page-locked memory, for a GPU.

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
        """Number of complete batches in one pass over the dataset."""
        return len(self.dataset) // self.batch_size

    def indices(self, step: int) -> list[int]:
        """Returns the dataset indices of batch ``step``; steps count over all epochs from 0."""
        epoch, position = divmod(step, self.steps_per_epoch)
        order = _generator(self.seed, epoch).permutation(len(self.dataset))
        return order[position * self.batch_size : (position + 1) * self.batch_size].tolist()

    def batch(self, step: int) -> Batch:
        """Returns batch ``step``; steps count over all epochs from 0.

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
        """Yields batches ``start``, ``start + 1``, ..., ``stop - 1``; endless if ``stop`` is None."""
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
    """Yields batches with every sample once, in the dataset's order; the last batch may be smaller.

    Args:
        dataset: Dataset to go through.
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
    # A spawn key, since SeedSequence((seed, *key)) ignores trailing zeros: the order of an
    # epoch would share its stream with the augmentation of sample 0.
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


@dataclass(frozen=True)
class _Steps:
    """A dataset for torch that maps a step to its training batch."""

    loader: BatchLoader

    def __getitem__(self, step: int) -> Batch:
        return self.loader.batch(step)


@dataclass(frozen=True)
class _Chunks:
    """A dataset for torch that maps a number to its evaluation batch."""

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
    """Batches, or the message of an InputError instead of it, since torch adds tracebacks to worker exceptions."""

    batches: _Steps | _Chunks

    def __getitem__(self, number: int) -> Batch | str:
        try:
            return self.batches[number]
        except InputError as error:
            return str(error)


def _fetch(batches: _Steps | _Chunks, numbers: range, workers: int, pin: bool) -> Iterator[Batch]:
    """Yields the numbered batches in order, prepared by ``workers`` processes."""
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
