"""The augmentation that a config asks for."""

from __future__ import annotations

from atrc.config import Augmentation
from atrc.data import Compose, DatasetInfo, Photometric, RandomScale, train_transform
from searchspace import InputError

__all__ = ["training_transform"]


def training_transform(augmentation: Augmentation, info: DatasetInfo) -> Compose:
    """The transform of a dataset's training samples.

    Raises:
        InputError: It would move images of which labels cannot follow.
    """
    if info.grid is not None and (augmentation.scale is not None or augmentation.flip):
        raise InputError(
            f"labels of the dataset {info.name} lie on a grid of their own: its images cannot be scaled or mirrored; "
            "set augmentation.scale=null and augmentation.flip=0"
        )
    return train_transform(
        info.size,
        scale=RandomScale(*augmentation.scale) if augmentation.scale else None,
        crop_dominance=augmentation.crop_dominance,
        crop_labels=augmentation.crop_labels,
        flip=augmentation.flip,
        photometric=Photometric() if augmentation.photometric else None,
    )
