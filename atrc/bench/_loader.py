"""``loader``: training batches of rendered rooms."""

from __future__ import annotations

from collections.abc import Iterator

from atrc.bench._base import BENCHMARKS, Case, Setting
from atrc.build import build_dataset, build_tasks, describe_dataset
from atrc.config import load_config
from atrc.data import BatchLoader
from atrc.data.rooms.renderer import render
from atrc.training.augmentation import training_transform

__all__ = ["loader"]


@BENCHMARKS.register("loader")
def loader(setting: Setting) -> Iterator[Case]:
    """A training batch of eight rooms, 96 x 128: from the cache with augmentation, and rendered anew."""
    config = load_config("demo" if setting.quick else "rooms4", ["dataset.train=64"])
    tasks = build_tasks(config, describe_dataset(config))
    train = build_dataset(config, "train", tasks)
    transform = training_transform(config.augmentation, train.info.size)
    batches = BatchLoader(train, tasks, transform, batch_size=8, seed=0)
    steps = iter(range(1_000_000))

    def from_cache() -> None:
        batches.batch(next(steps))

    def rendered() -> None:
        for index in batches.indices(next(steps)):
            render(0, "train", index, train.info.size)

    height, width = train.info.size
    yield Case(f"8 images, {height}x{width}", {"from the cache": from_cache, "rendered": rendered}, "rendered")
