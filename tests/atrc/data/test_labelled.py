"""Splits from which a task can learn nothing, or in which it cannot be measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from atrc.data import Dataset, DatasetInfo, Sample
from atrc.data.labelled import refuse_unlabelled
from atrc.tasks import TASKS
from searchspace import InputError


def test_a_split_without_a_valid_pixel_of_a_task_is_refused() -> None:
    class Maps(Dataset):
        info = DatasetInfo("maps", {}, (2, 2))

        def __init__(self, **labels: list[np.ndarray]) -> None:
            self.labels = labels

        @classmethod
        def describe(cls, **options: Any) -> DatasetInfo:
            return cls.info

        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> Sample:
            return Sample(
                "", np.zeros((2, 2, 3), np.uint8), {name: maps[index] for name, maps in self.labels.items()}
            )

    def one(value: float, kind: type[np.generic], channels: tuple[int, ...] = ()) -> list[np.ndarray]:
        """The first map has no valid pixel, the second has one."""
        empty = np.full((2, 2, *channels), value, kind)
        some = empty.copy()
        some[1, 1] = 1
        return [empty, some]

    labels = {
        "semseg": one(255, np.uint8),
        "depth": one(0, np.float32),
        "normals": one(0, np.float32, (3,)),
        "a": one(np.nan, np.float32, (2,)),
    }
    tasks = {name: TASKS[name](**({"classes": 3} if name == "semseg" else {})) for name in labels}
    refuse_unlabelled(Maps(**labels), tasks, "val")
    for name in labels:
        lacking = {**labels, name: [labels[name][0]] * 2}
        with pytest.raises(InputError, match=f"none of the 2 samples of split 'val' has a valid pixel of {name},"):
            refuse_unlabelled(Maps(**lacking), tasks, "val")
