"""Refuses splits without labels of a task, from which it could not learn or be measured."""

from __future__ import annotations

from collections.abc import Mapping

from atrc.data._base import Dataset
from atrc.tasks import Task
from searchspace.errors import InputError

__all__ = ["refuse_unlabelled"]


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
