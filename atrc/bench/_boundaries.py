"""``boundaries``: the boundary measure, over sizes of image and numbers of thresholds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from atrc.bench._base import BENCHMARKS, Case, Setting
from atrc.data.rooms.renderer import render

if TYPE_CHECKING:
    from atrc.metrics import BoundaryF  # metrics load torchmetrics, which other benchmarks do not need

__all__ = ["boundaries"]

_MIDDLE = ((425, 560), 99)  # size of NYUD-v2, and number of thresholds of the benchmark
_LINE_WIDTH = 1.5
_IMAGES = 4


@BENCHMARKS.register("boundaries")
def boundaries(setting: Setting) -> Iterator[Case]:
    """Times the boundary counts at all thresholds: kernel and plain form, then over sizes and thresholds."""
    small = (24, 32) if setting.quick else (96, 128)
    yield _case(small, 9 if setting.quick else 99, 1, {"kernel": _all_threads, "plain": _plainly}, "plain")
    size, thresholds = ((48, 64), 9) if setting.quick else _MIDDLE
    points = [((size[0] * scale // 2, size[1] * scale // 2), thresholds) for scale in (1, 2, 4)]
    points += [(size, thresholds // divisor) for divisor in (9, 3, 1)]
    for at, steps in dict.fromkeys(points):
        yield _case(at, steps, _IMAGES, {"all threads": _all_threads, "one thread": _one_thread}, "one thread")


def _case(
    size: tuple[int, int],
    thresholds: int,
    images: int,
    contenders: dict[str, Callable[[BoundaryF, Tensor, Tensor], object]],
    reference: str,
) -> Case:
    def run(measure: Callable[[BoundaryF, Tensor, Tensor], object]) -> None:
        from atrc.metrics import BoundaryF

        measure(BoundaryF(thresholds=thresholds), *_maps(size, images))

    return Case(
        f"{images} {'image' if images == 1 else 'images'}, {size[0]}x{size[1]}, {thresholds} thresholds",
        {name: partial(run, measure) for name, measure in contenders.items()},
        reference,
        point={"pixels": size[0] * size[1], "thresholds": thresholds, "images": images},
    )


def _all_threads(metric: BoundaryF, prediction: Tensor, label: Tensor) -> None:
    metric.update(prediction, label)


def _one_thread(metric: BoundaryF, prediction: Tensor, label: Tensor) -> None:
    for image, truth in zip(prediction.numpy(), label.numpy(), strict=True):
        metric.count(image, [truth == 1])


def _plainly(metric: BoundaryF, prediction: Tensor, label: Tensor) -> None:
    from atrc.metrics.boundary import count_matches_plainly

    for image, truth in zip(prediction.numpy(), label.numpy(), strict=True):
        tolerance = metric.max_distance * float(np.hypot(*image.shape))
        count_matches_plainly(image, [truth == 1], metric.thresholds, tolerance)


@cache
def _maps(size: tuple[int, int], images: int) -> tuple[Tensor, Tensor]:
    """Returns ``(B, H, W)`` predictions and labels of rooms. They are made at the first, untimed call."""
    labels = np.stack([render(0, "val", index, size).edge for index in range(images)])
    generator = np.random.default_rng(0)
    predictions = np.stack([_prediction(label == 1, generator) for label in labels])
    return torch.from_numpy(predictions), torch.from_numpy(labels)


def _prediction(edge: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Imitates the output of a network: blurred edges of varying strength, smooth false alarms, fine noise."""

    def noise(width: float) -> np.ndarray:
        smooth = ndimage.gaussian_filter(generator.standard_normal(edge.shape), width)
        return smooth / smooth.std()

    lines = 2.5 * _LINE_WIDTH * ndimage.gaussian_filter(edge.astype(float), _LINE_WIDTH)  # straight lines peak at 1
    alarms = np.maximum(noise(2 * _LINE_WIDTH) - 0.5, 0)
    found = lines * (0.65 + 0.2 * noise(20)) + 0.15 * alarms + 0.03 * noise(1)
    return np.clip(found, 0, 1).astype(np.float32)
