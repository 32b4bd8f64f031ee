"""The suite of datasets."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from atrc.data import DATASETS, BatchLoader, Dataset, DatasetInfo, Sample, eval_transform, evaluation_batches
from atrc.tasks import IGNORE, TASKS, Task
from atrc.testing._parts import found, left_alone, refused, works
from searchspace.calls import call_with_options

__all__ = ["check_dataset"]

Open = Callable[..., Dataset]
"""Function that opens a split, given its name and the names of tasks."""


def check_dataset(
    dataset: str | type[Dataset],
    options: Mapping[str, Any] | None = None,
    *,
    splits: Sequence[str] = ("train", "val"),
    samples: int = 8,
) -> None:
    """Checks that a dataset keeps the following promises.

    This checks the class. `atrc.data.check_dataset` looks for bad files instead.

    - ``describe()`` returns, from the options alone, the ``info`` of every split. Its tasks are registered, and
      accept the arguments that it gives for them.
    - A sample is an `atrc.data.Sample` with an ``(H, W, 3)`` uint8 image no larger than ``info.size``, and a label
      for every wanted task. Labels have the size of the image or of ``info.grid``. They are uint8 class maps or
      float32 measurements that the task's ``check_label()`` accepts. Ids are different and can name files.
    - The same index gives the same bytes: the second time, in another order, from a new object, and for every state
      of the global generators, which it does not use. A label does not depend on the other wanted labels. It is
      allowed to want none.
    - Writing into a sample changes no other sample: its arrays are its own, or are read-only.
    - An index beyond the end raises ``IndexError``. An unknown split, task or option is refused with a message of one
      line that names the nearest one.
    - It can be pickled into a worker process. There it gives the same batches, with the declared sizes.

    Args:
        dataset: Registered name, or a class.
        options: Options of the dataset; small ones make a short test.
        splits: Names of its splits.
        samples: Number of samples of a split that are checked, evenly spaced.

    Raises:
        AssertionError: A promise is broken; the message says which.

    Example::

        def test_my_dataset() -> None:
            check_dataset(MyDataset, {"root": "photos"})
    """
    name, cls = found(DATASETS, dataset)
    given = dict(options or {})
    with works(f"{name} must be described by the options {given}"):
        info = call_with_options(name, cls.describe, given)
    tasks = _tasks(name, info)

    def open_split(split: str, names: Sequence[str] = tuple(tasks)) -> Dataset:
        with left_alone(f"opening {name}"):
            opened: Dataset = call_with_options(name, cls, given, split, list(names))
        return opened

    for split in splits:
        with works(f"the split {split!r} of {name} must be opened"):
            whole = open_split(split)
        assert isinstance(whole, Dataset), f"{name} must be an atrc.data.Dataset, but is {type(whole).__name__}"
        _check_info(name, whole.info, info)
        indices = _spaced(len(whole), samples)
        assert indices, f"the split {split!r} of {name} must have samples"
        read = _check_samples(name, whole, indices, tasks)
        _check_bytes(name, open_split, split, read)
        _check_writing(name, whole, read)
        _check_end(name, whole)
        _check_batches(name, whole, info, tasks)
    _check_refusals(name, cls, open_split, given, splits[0], tasks)


def _spaced(length: int, most: int) -> list[int]:
    return [int(i) for i in np.unique(np.linspace(0, length - 1, min(length, most)).round())] if length else []


def _tasks(name: str, info: DatasetInfo) -> dict[str, Task]:
    right = isinstance(info, DatasetInfo) and len(info.tasks) > 0
    assert right, f"describe() of {name} must give an atrc.data.DatasetInfo with at least one task, not {info!r}"
    tasks = {}
    for task, facts in info.tasks.items():
        with works(f"describe() of {name} must name registered tasks with arguments that they take"):
            tasks[task] = TASKS.create(task, facts)
    return tasks


def _check_info(name: str, own: DatasetInfo, described: DatasetInfo) -> None:
    for fact in ("name", "tasks", "size", "grid", "cache"):
        one, other = getattr(own, fact), getattr(described, fact)
        assert one == other, (
            f"describe() of {name} must say what its splits say, but {fact} is {other}, and {one} there"
        )


def _check_samples(
    name: str, dataset: Dataset, indices: Sequence[int], tasks: Mapping[str, Task]
) -> dict[int, Sample]:
    """Returns copies of the samples."""
    kept: dict[int, Sample] = {}
    with left_alone(f"reading {name}"):
        for index in indices:
            with works(f"sample {index} of {name} must be read"):
                sample = dataset[index]
            _check_sample(name, sample, dataset.info, tasks)
            kept[index] = _copy(sample)
    ids = [sample.id for sample in kept.values()]
    twice = sorted({one for one in ids if ids.count(one) > 1})
    assert not twice, f"ids of {name} must be different, but these come twice: {', '.join(twice)}"
    return kept


def _check_sample(name: str, sample: Sample, info: DatasetInfo, tasks: Mapping[str, Task]) -> None:
    assert isinstance(sample, Sample), f"{name} must give an atrc.data.Sample, not {type(sample).__name__}"
    named = isinstance(sample.id, str) and sample.id
    assert named, f"{name} must give samples ids that name files, not {sample.id!r}"
    image, where = sample.image, f"sample {sample.id!r} of {name}"
    right = image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    assert right, f"the image of {where} must be (H, W, 3) uint8, but is {image.shape} {image.dtype}"
    fits = all(side <= most for side, most in zip(image.shape[:2], info.size, strict=True))
    assert fits, f"the image of {where} is {image.shape[:2]}, larger than the described size {info.size}: resize it"
    same = set(sample.labels) == set(tasks)
    assert same, f"{where} must have labels of {sorted(tasks)}, which were asked for, but has {sorted(sample.labels)}"
    size = info.grid or image.shape[:2]
    for task, label in sample.labels.items():
        said = f"the {task} label of {where}"
        assert label.shape[:2] == tuple(size), (
            f"{said} must be of {tuple(size)} pixels, but its shape is {label.shape}"
        )
        dtype = np.dtype(np.uint8 if tasks[task].fill == IGNORE else np.float32)
        assert label.dtype == dtype, f"{said} must be {dtype}, but is {label.dtype}: convert it"
        wrong = tasks[task].check_label(label)
        assert wrong is None, f"{said} is not what its task takes: {wrong}"


def _copy(sample: Sample) -> Sample:
    return Sample(sample.id, np.array(sample.image), {task: np.array(x) for task, x in sample.labels.items()})


def _same(one: Sample, other: Sample) -> bool:
    return (
        one.id == other.id
        and one.image.tobytes() == other.image.tobytes()
        and all(x.tobytes() == other.labels[task].tobytes() for task, x in one.labels.items())
    )


def _check_bytes(name: str, open_split: Open, split: str, read: Mapping[int, Sample]) -> None:
    again = open_split(split)
    state = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    try:
        for index in [*reversed(list(read)), *read]:
            assert _same(read[index], again[index]), (
                f"sample {index} of {name} must be the same bytes whenever it is read, in any order: "
                "draw from a generator that the index seeds"
            )
    finally:
        random.setstate(state[0]), np.random.set_state(state[1])  # noqa: NPY002
        torch.set_rng_state(state[2])
    first = next(iter(read.values()))
    for wanted in ((), *((task,) for task in first.labels)):
        with works(f"{name} must be opened for the tasks {list(wanted)}"):
            part = open_split(split, wanted)
            sample = part[next(iter(read))]
        assert set(sample.labels) == set(wanted), f"{name} gives labels of {list(sample.labels)} for {list(wanted)}"
        expected = Sample(first.id, first.image, {task: first.labels[task] for task in wanted})
        assert _same(expected, sample), (
            f"{name} gives other samples when only the labels of {list(wanted)} are asked for"
        )


def _check_writing(name: str, dataset: Dataset, read: Mapping[int, Sample]) -> None:
    for index in read:
        sample = dataset[index]
        for array in (sample.image, *sample.labels.values()):
            if array.flags.writeable:
                array[...] = 1 - array
        assert _same(read[index], dataset[index]), (
            f"sample {index} of {name} changes when somebody writes into what was read before: give copies"
        )


def _check_end(name: str, dataset: Dataset) -> None:
    try:
        dataset[len(dataset)]
    except IndexError:
        return
    except Exception as error:
        raise AssertionError(
            f"sample {len(dataset)} of {len(dataset)} of {name} must be an IndexError, not a {type(error).__name__}"
        ) from error
    raise AssertionError(f"sample {len(dataset)} of {len(dataset)} of {name} must be an IndexError, but is there")


def _check_batches(name: str, dataset: Dataset, info: DatasetInfo, tasks: Mapping[str, Task]) -> None:
    with works(f"{name} must be pickled, for worker processes: keep open files and local classes out of it"):
        travelled = pickle.loads(pickle.dumps(dataset))
        same = _same(_copy(dataset[0]), travelled[0])
    assert same, f"{name} gives other samples after it was pickled"
    count = min(2, len(dataset))
    transform = eval_transform(info.size)
    with works(f"{name} must give batches"):
        batch = next(evaluation_batches(dataset, tasks, transform, batch_size=count))
        loader = [BatchLoader(dataset, tasks, transform, batch_size=count, seed=0, workers=n) for n in (0, 1)]
        here, there = (next(iter(one.iterate(0, 1))) for one in loader)
    assert tuple(batch.image.shape) == (count, 3, *info.size), f"{name} gives batches {tuple(batch.image.shape)}"
    for task, label in batch.labels.items():
        size, expected = tuple(label.shape[-2:]), tuple(info.grid or info.size)
        assert size == expected, f"{name} gives batches whose {task} labels are {size}, not {expected}"
    same = here.ids == there.ids and torch.equal(here.image, there.image)
    assert same, f"{name} gives other batches in a worker process"


def _check_refusals(
    name: str,
    cls: type[Dataset],
    open_split: Open,
    options: Mapping[str, Any],
    split: str,
    tasks: Mapping[str, Task],
) -> None:
    nearly = split[:-1] + "_"
    refused(f"{name} must refuse an unknown split in one line", lambda: open_split(nearly), nearly, f"'{split}'")
    task = next(iter(tasks))
    # A short name of a task has no near name.
    unknown, near = (f"{task[:-1]}_", f"'{task}'") if len(task) > 2 else ("no_such_task", task)
    refused(f"{name} must refuse an unknown task in one line", lambda: open_split(split, [unknown]), unknown, near)
    wrong = {**options, "no_such_option": 1}
    for what, call, own in (("describe() of ", cls.describe, ()), ("", cls, (split, list(tasks)))):
        refused(
            f"{what}{name} must refuse an unknown option in one line",
            lambda call=call, own=own: call_with_options(name, call, wrong, *own),  # type: ignore[misc]
            "no_such_option",
        )
