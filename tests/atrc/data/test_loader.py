"""Batches follow from the seed and the step alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from atrc.data import (
    Batch,
    BatchLoader,
    Dataset,
    DatasetInfo,
    Sample,
    View,
    collate,
    eval_transform,
    hold_out,
    image_windows,
    train_transform,
)
from atrc.data.loader import evaluation_batches
from atrc.tasks import TASKS, Task
from searchspace.errors import InputError

SIZE = (20, 24)


class Noise(Dataset):
    """Eleven random samples; sample ``broken`` cannot be read."""

    def __init__(self, broken: int | None = None, length: int = 11) -> None:
        self.info = self.describe()
        self.broken = broken
        self.length = length

    @classmethod
    def describe(cls, **options: object) -> DatasetInfo:
        return DatasetInfo("noise", {"semseg": {"classes": 3}, "depth": {}, "normals": {}}, SIZE, Path())

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        if index == self.broken:
            raise InputError(f"images/{index}.jpg: not readable")
        generator = np.random.default_rng(index)
        normals = generator.normal(size=(*SIZE, 3)).astype(np.float32)
        return Sample(
            str(index),
            generator.integers(0, 256, (*SIZE, 3), dtype=np.uint8),
            {
                "semseg": generator.integers(0, 3, SIZE, dtype=np.uint8),
                "depth": generator.random(SIZE, dtype=np.float32),
                "normals": normals / np.linalg.norm(normals, axis=2, keepdims=True),
            },
        )


@pytest.fixture
def tasks() -> Mapping[str, Task]:
    return {name: TASKS[name]() for name in ("semseg", "depth", "normals")}


def loader(tasks: Mapping[str, Task], workers: int = 0, seed: int = 7, **options: int) -> BatchLoader:
    return BatchLoader(Noise(**options), tasks, train_transform(SIZE), batch_size=4, seed=seed, workers=workers)


def assert_same(one: Batch, other: Batch) -> None:
    assert one.ids == other.ids
    assert torch.equal(one.image, other.image)
    assert torch.equal(one.valid, other.valid)
    assert one.labels.keys() == other.labels.keys()
    for name in one.labels:
        assert torch.equal(one.labels[name], other.labels[name])


def test_batch_has_the_promised_shapes(tasks: Mapping[str, Task]) -> None:
    batch = loader(tasks).batch(0)
    assert len(batch) == 4
    assert (batch.image.shape, batch.image.dtype) == ((4, 3, *SIZE), torch.float32)
    assert (batch.valid.shape, batch.valid.dtype) == ((4, 1, *SIZE), torch.bool)
    assert (batch.labels["semseg"].shape, batch.labels["semseg"].dtype) == ((4, *SIZE), torch.int64)
    assert (batch.labels["depth"].shape, batch.labels["depth"].dtype) == ((4, *SIZE), torch.float32)
    assert (batch.labels["normals"].shape, batch.labels["normals"].dtype) == ((4, 3, *SIZE), torch.float32)
    assert_same(batch, batch.to("cpu"))
    assert batch.to("meta").image.device.type == "meta"


def test_batch_is_channel_first(tasks: Mapping[str, Task]) -> None:
    sample = Noise()[3]
    batch = collate([View.of(sample)])
    np.testing.assert_array_equal(batch.image[0].permute(1, 2, 0), sample.image)
    np.testing.assert_array_equal(batch.labels["normals"][0].permute(1, 2, 0), sample.labels["normals"])


def test_windows_are_where_the_image_is() -> None:
    valid = torch.ones(2, 1, 5, 8, dtype=torch.bool)
    valid[1, :, [0, 4]] = False  # an odd rest of padding
    valid[1, ..., [0, 1, 7]] = False
    assert image_windows(valid) == [(slice(0, 5), slice(0, 8)), (slice(1, 4), slice(2, 7))]


def test_each_epoch_is_another_permutation(tasks: Mapping[str, Task]) -> None:
    batches = loader(tasks)
    assert batches.steps_per_epoch == 2
    epochs = [[index for step in (2 * e, 2 * e + 1) for index in batches.indices(step)] for e in range(6)]
    assert all(len(set(epoch)) == 8 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 6
    assert {index for epoch in epochs for index in epoch} == set(range(11))
    assert batches.indices(0) != loader(tasks, seed=8).indices(0)


@pytest.mark.parametrize("workers", [0, 2])
def test_order_and_augmentation_do_not_depend_on_workers_or_start(workers: int, tasks: Mapping[str, Task]) -> None:
    reference = [loader(tasks).batch(step) for step in range(7)]
    torch.manual_seed(0)
    state = torch.get_rng_state()
    for start in (0, 3):
        batches = list(loader(tasks, workers).iterate(start, 7))
        assert len(batches) == 7 - start
        for one, other in zip(batches, reference[start:], strict=True):
            assert_same(one, other)
    assert torch.equal(torch.get_rng_state(), state)  # the model's generator is not touched
    for step in (5, 1):
        assert_same(loader(tasks).batch(step), reference[step])


def test_the_same_sample_is_augmented_anew_in_every_epoch(tasks: Mapping[str, Task]) -> None:
    batches = BatchLoader(Noise(length=1), tasks, train_transform(SIZE), batch_size=1, seed=0)
    first, second = batches.batch(0), batches.batch(1)
    assert first.ids == second.ids
    assert not torch.equal(first.image, second.image)


def test_iteration_is_endless(tasks: Mapping[str, Task]) -> None:
    iterator = iter(loader(tasks))
    assert [next(iterator).ids for _ in range(5)][4] == loader(tasks).batch(4).ids


@pytest.mark.parametrize("workers", [0, 2])
def test_evaluation_keeps_order_and_the_last_partial_batch(workers: int, tasks: Mapping[str, Task]) -> None:
    batches = list(evaluation_batches(Noise(), tasks, eval_transform(SIZE), batch_size=4, workers=workers))
    assert [len(batch) for batch in batches] == [4, 4, 3]
    assert [name for batch in batches for name in batch.ids] == [str(index) for index in range(11)]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_bad_file_is_one_line_from_a_worker_too(workers: int, tasks: Mapping[str, Task]) -> None:
    with pytest.raises(InputError) as caught:
        list(loader(tasks, workers, broken=5).iterate(0, 8))
    assert str(caught.value) == "images/5.jpg: not readable"


def test_a_batch_larger_than_what_is_left_says_what_is_held_out(tasks: Mapping[str, Task]) -> None:
    for part in hold_out(Noise(length=16), 0.5):
        with pytest.raises(InputError) as caught:
            BatchLoader(part, tasks, train_transform(SIZE), batch_size=10, seed=0)
        assert str(caught.value).endswith(
            "batch_size=10 for 8 samples of noise (8 of 16 training images are held out; held_out=0.5)"
        )


def test_wrong_arguments(tasks: Mapping[str, Task]) -> None:
    with pytest.raises(InputError, match="batch_size=4 for 3 samples of noise"):
        loader(tasks, length=3)
    with pytest.raises(InputError, match="seed must not be negative"):
        loader(tasks, seed=-1)
    with pytest.raises(InputError, match="batch_size must be at least 1"):
        evaluation_batches(Noise(), tasks, eval_transform(SIZE), batch_size=0)
    small = Sample("small", np.zeros((3, 4, 3), np.uint8), {})
    large = Sample("large", np.zeros((5, 4, 3), np.uint8), {})
    with pytest.raises(InputError, match="'small' is 3 x 4 and 'large' is 5 x 4"):
        collate([View.of(small), View.of(large)])
