"""Labels of a split: those of one task as a sequence, and a refusal of splits that have none of a task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from atrc.data._base import Dataset
from atrc.tasks import Task
from searchspace.errors import InputError

__all__ = ["LabelMaps", "refuse_unlabelled"]


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
