"""The absence of images: the dataset of configs that leave it out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from atrc.config import NO_DATASET
from atrc.data._base import DATASETS, Dataset, DatasetInfo, Sample
from searchspace.errors import InputError

__all__ = ["NoImages"]


@DATASETS.register(NO_DATASET)
class NoImages(Dataset):
    """No images. Searches of a table need none; whatever asks for some is refused.

    Raises:
        InputError: A split is asked for.
    """

    def __init__(self, split: str, tasks: Sequence[str]) -> None:
        _refuse()

    @classmethod
    def none(cls) -> NoImages:
        """Returns a split without any sample."""
        return cls.__new__(cls)

    @classmethod
    def describe(cls, **options: Any) -> DatasetInfo:
        _refuse()

    def __len__(self) -> int:
        return 0

    def __getitem__(self, index: int) -> Sample:
        raise IndexError(index)


def _refuse() -> NoReturn:
    raise InputError(
        "the config has no dataset, and this needs images: give it dataset and tasks "
        "(only a multi-trial search with trials.scorer.name=table does without)"
    )
