"""Labels of a split: those of one task as a sequence, fits of tasks to them, and a refusal of splits without any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from atrc.data._base import Dataset
from atrc.data.cache import hashed
from atrc.tasks import Task
from searchspace.errors import InputError

__all__ = ["LabelMaps", "fit_task", "refuse_unlabelled"]

_State = Mapping[str, Tensor]
_FITTED: dict[tuple[Any, ...], tuple[_State, _State]] = {}
"""What was fitted in this process -> the states of the task before and after."""


class LabelMaps(Sequence[np.ndarray]):
    """The label maps of one task, each read when it is asked for.

    Args:
        dataset: A split, with the labels of the task.
        task: Its name.
    """

    def __init__(self, dataset: Dataset, task: str) -> None:
        self.dataset, self.task = dataset, task

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: Any) -> Any:
        return self.dataset[index].labels[self.task]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))


def fit_task(name: str, task: Task, options: Mapping[str, Any], train: Dataset) -> None:
    """Fits a task to the labels of a split. Of a split with a `Dataset.source`, that is done once in a process.

    Args:
        name: Name of the task in the dataset.
        task: The task.
        options: The arguments that the task was made with.
        train: The split.

    Raises:
        InputError: The task cannot be fitted to these labels.
    """
    before, generator = task.state_dict(), torch.get_rng_state()
    key = name, type(task), hashed(options), train.source
    known = _FITTED.get(key)
    if known is not None and _equal(known[0], before):  # the state before says what the task read from files
        task.load_state_dict(known[1])
        return
    task.fit(LabelMaps(train, name), train.info.cache)
    after = task.state_dict()
    # A fit that drew from the global generator is made again, since what is drawn after it depends on it.
    if after and train.source is not None and torch.equal(generator, torch.get_rng_state()):
        _FITTED[key] = before, after


def _equal(one: _State, other: _State) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def refuse_unlabelled(dataset: Dataset, tasks: Mapping[str, Task], split: str) -> None:
    """Checks that every task has a valid pixel in the split; reads no more samples than needed.

    Args:
        dataset: A split, with the labels of all tasks.
        tasks: Task name -> task.
        split: Name of the split, for the message.

    Raises:
        InputError: A task has no valid pixel in any sample.
    """
    lacking = dict(tasks)
    for index in range(len(dataset)):
        labels = dataset[index].labels
        lacking = {name: task for name, task in lacking.items() if not task.valid(labels[name]).any()}
        if not lacking:
            return
    raise InputError(
        f"dataset {dataset.info.name}: none of the {len(dataset)} samples of split {split!r} has a valid pixel of "
        f"{', '.join(lacking)}, so the task can be neither learnt nor measured there; leave it out of tasks, or "
        "label the split"
    )
