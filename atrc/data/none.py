"""No images, for searches that need none: those that look genotypes up in a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from atrc.data._base import DATASETS, Dataset, DatasetInfo, Sample
from searchspace.errors import InputError

__all__ = ["NoImages"]


@DATASETS.register("none")
class NoImages(Dataset):
    """An empty dataset without tasks. What would learn from it is refused.

    Args:
        split: Any name.
        tasks: None.

    Raises:
        InputError: A task is wanted.
    """

    info = DatasetInfo("none", {}, (0, 0))

    def __init__(self, split: str = "train", tasks: Iterable[str] = ()) -> None:
        if wanted := list(tasks):
            raise InputError(f"the dataset 'none' has no images, so it has no labels of {', '.join(wanted)}")

    @classmethod
    def describe(cls, **options: Any) -> DatasetInfo:
        if options:
            raise InputError(f"the dataset 'none' takes no options, got {', '.join(options)}")
        return cls.info

    def __len__(self) -> int:
        return 0

    def __getitem__(self, index: int) -> Sample:
        raise IndexError(index)
