"""``loader``: training batches of rendered rooms, small and at the size of NYUD-v2."""

from __future__ import annotations

from collections.abc import Iterator

from atrc.bench._base import BENCHMARKS, Case, Setting
from atrc.config import load_config
from atrc.data import BatchLoader
from atrc.data.rooms.renderer import render
from atrc.setup import Setup

__all__ = ["loader"]


@BENCHMARKS.register("loader")
def loader(setting: Setting) -> Iterator[Case]:
    """Times a training batch of eight rooms: from the cache with augmentation, and rendered anew."""
    if setting.quick:
        yield _case("demo", 64)
        return
    yield _case("rooms4", 64)
    yield _case("rooms4", 16, "dataset.size=[425, 560]")


def _case(preset: str, images: int, *overrides: str) -> Case:
    config = load_config(preset, [f"dataset.train={images}", *overrides])
    setup = Setup.of(config)
    train = setup.split("train")
    batches = BatchLoader(train, setup.tasks, setup.augmentation(), batch_size=8, seed=0)
    steps = iter(range(1_000_000))

    def from_cache() -> None:
        batches.batch(next(steps))

    def rendered() -> None:
        for index in batches.indices(next(steps)):
            render(0, "train", index, train.info.size)

    height, width = train.info.size
    contenders = {"from the cache": from_cache, "rendered": rendered}
    point = {"pixels": height * width, "images": batches.batch_size}
    return Case(f"{batches.batch_size} images, {height}x{width}", contenders, "rendered", point=point)
