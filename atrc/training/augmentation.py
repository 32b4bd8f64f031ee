"""The augmentation that a config asks for."""

from __future__ import annotations

from atrc.config import Augmentation
from atrc.data import Compose, Photometric, RandomScale, train_transform

__all__ = ["training_transform"]


def training_transform(augmentation: Augmentation, size: tuple[int, int]) -> Compose:
    """The transform of training samples of ``size`` (H, W)."""
    return train_transform(
        size,
        scale=RandomScale(*augmentation.scale) if augmentation.scale else None,
        crop_dominance=augmentation.crop_dominance,
        flip=augmentation.flip,
        photometric=Photometric() if augmentation.photometric else None,
    )
