"""The suite of tasks on every one in the tree, and on some that break one promise each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from atrc.metrics import MeanIoU
from atrc.tasks import TASKS, Field, SemSeg, Task, any_size
from atrc.testing import check_task

SIZE = (24, 32)


def normals() -> np.ndarray:
    drawn = np.random.default_rng(0).standard_normal((*SIZE, 3)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)


def field() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([rng.standard_normal(SIZE), rng.integers(0, 4, SIZE)], axis=-1).astype(np.float32)


def line() -> np.ndarray:
    edge = np.zeros(SIZE, np.uint8)
    edge[:, 12] = 1
    return edge


SHIPPED: dict[str, tuple[dict[str, Any], np.ndarray | None]] = {
    "semseg": ({}, None),
    "human_parts": ({}, None),
    "saliency": ({}, None),
    "edge": ({"thresholds": 5}, line()),
    "depth": ({}, np.random.default_rng(0).uniform(0.5, 12, SIZE).astype(np.float32)),
    "normals": ({"centroids": 8}, normals()),
    "a": ({}, field()),
}


def test_the_suite_covers_the_registry() -> None:
    assert {kind for kind in TASKS.values() if kind is not Field} | {Field} == {TASKS[name] for name in SHIPPED}


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped(name: str) -> None:
    options, label = SHIPPED[name]
    check_task(name, options, label=label)


def test_a_label_of_its_own_form_has_to_be_given() -> None:
    with pytest.raises(AssertionError, match="task 'depth' has labels of its own form: give the suite a label"):
        check_task("depth")


# -- tasks that break a promise -------------------------------------------------------------------------------------


class Weightless(SemSeg):
    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.weight = 0.0


class Regionless(SemSeg):
    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.regions = 0


class Nameless(SemSeg):
    metric_name = property()  # type: ignore[assignment]


class CountsIgnored(SemSeg):
    def loss(self, prediction: Tensor, label: Tensor) -> Tensor:
        return super().loss(prediction, torch.where(label == 255, 0, label))


class NothingIsNothing(SemSeg):
    """0 / 0 where no pixel is valid."""

    def aux_loss(self, regions: Tensor, label: Tensor) -> Tensor:
        return functional.cross_entropy(regions.float(), label, ignore_index=255)


class ConstantWhereEmpty(SemSeg):
    def loss(self, prediction: Tensor, label: Tensor) -> Tensor:
        return super().loss(prediction, label) if (label != 255).any() else torch.zeros(())


class SumsInHalf(SemSeg):
    def loss(self, prediction: Tensor, label: Tensor) -> Tensor:
        return super().loss(prediction, label).to(prediction.dtype)


class Negative(SemSeg):
    def loss(self, prediction: Tensor, label: Tensor) -> Tensor:
        return super().loss(prediction, label) - 10


class Teaches(SemSeg):
    """Nothing."""

    def loss(self, prediction: Tensor, label: Tensor) -> Tensor:
        return super().loss(prediction * 0, label)


class PerPixel(SemSeg):
    def loss(self, prediction: Tensor, label: Tensor) -> Tensor:
        return super().loss(prediction, label)[None]


class WritesIntoTheLabel(SemSeg):
    def loss(self, prediction: Tensor, label: Tensor) -> Tensor:
        found = super().loss(prediction, label.clone())
        label[label == 2] = 1
        return found


class KnowsOneSize(SemSeg):
    """It enlarges in a way of its own."""

    @any_size
    def loss(self, prediction: Tensor, label: Tensor) -> Tensor:
        return super().loss(functional.interpolate(prediction, label.shape[-2:], mode="nearest"), label)


class DrawsInLoss(SemSeg):
    def loss(self, prediction: Tensor, label: Tensor) -> Tensor:
        torch.rand(())
        return super().loss(prediction, label)


class KeepsTheChannel(SemSeg):
    def decode(self, prediction: Tensor) -> Tensor:
        return super().decode(prediction)[:, None]


class DecodesInHalf(SemSeg):
    def decode(self, prediction: Tensor) -> Tensor:
        return super().decode(prediction).to(prediction.dtype if prediction.dtype is torch.bfloat16 else torch.int64)


class OtherDirection(SemSeg):
    higher_is_better = False


class OffByOne(MeanIoU):
    def update(self, prediction: Tensor, label: Tensor) -> None:
        super().update((prediction + 1) % 3, label)


class MissesTheBest(SemSeg):
    def metric(self) -> MeanIoU:
        return OffByOne(3)


class WithIgnored(MeanIoU):
    def update(self, prediction: Tensor, label: Tensor) -> None:
        super().update(prediction, torch.where(label == 255, 0, label))


class MeasuresIgnored(SemSeg):
    def metric(self) -> MeanIoU:
        return WithIgnored(3)


class LastOnly(MeanIoU):
    def update(self, prediction: Tensor, label: Tensor) -> None:
        self.reset()
        super().update(prediction, label)


class MeasuresTheLast(SemSeg):
    def metric(self) -> MeanIoU:
        return LastOnly(3)


class OneMetric(SemSeg):
    kept = MeanIoU(3)

    def metric(self) -> MeanIoU:
        return self.kept


class AcceptsAnything(SemSeg):
    def check_label(self, label: np.ndarray) -> str | None:
        return None if label.ndim == 2 else "not a map"


class AcceptsAnyShape(SemSeg):
    def check_label(self, label: np.ndarray) -> str | None:
        return super().check_label(label) if label.ndim == 2 else None


class RefusesIgnored(SemSeg):
    def check_label(self, label: np.ndarray) -> str | None:
        return "ignored" if (label == 255).any() else super().check_label(label)


class RaisesOnLabels(SemSeg):
    def check_label(self, label: np.ndarray) -> str | None:
        if label.ndim != 2:
            raise ValueError("odd")
        return super().check_label(label)


class TurnsUpsideDown(SemSeg):
    def flip_label(self, label: np.ndarray) -> np.ndarray:
        return label[::-1]


class Shifts(SemSeg):
    def flip_label(self, label: np.ndarray) -> np.ndarray:
        return np.roll(label, 1, axis=1)


class Rescales(SemSeg):
    def rescale_label(self, label: np.ndarray, scale: float) -> np.ndarray:
        return label + 1


class DrawsFloats(SemSeg):
    def draw(self, label: np.ndarray) -> np.ndarray:
        return super().draw(label) / 255.0


class DrawsOver(SemSeg):
    def draw(self, label: np.ndarray) -> np.ndarray:
        picture = super().draw(label)
        label[:2] = 0
        return picture


class StoresAnything(SemSeg):
    def stored(self, label: np.ndarray) -> Any:
        return np.array([object()])


class ForgetsWhatItFitted(SemSeg):
    factor = 1.0

    def fit(self, labels: Iterable[np.ndarray], cache: Path) -> None:
        self.factor = 2.0

    def aux_loss(self, regions: Tensor, label: Tensor) -> Tensor:
        return self.factor * super().aux_loss(regions, label)


class FitsAtRandom(SemSeg):
    fits = count()

    def fit(self, labels: Iterable[np.ndarray], cache: Path) -> None:
        self.fitted = torch.tensor(next(self.fits))

    def state_dict(self) -> dict[str, Tensor]:
        return {"fitted": self.fitted}


class WritesBeside(SemSeg):
    def fit(self, labels: Iterable[np.ndarray], cache: Path) -> None:
        (cache.parents[1] / "left").touch()


class LoadsAnything(SemSeg):
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        return


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Weightless, r"the weight of .* must be a finite number > 0, not 0\.0"),
        (Regionless, "the regions of .* must be a whole number > 0, not 0"),
        (Nameless, "does not state its metric_name"),
        (CountsIgnored, "^loss of .* depends on pixels whose label is fill, 255"),
        (NothingIsNothing, "^aux_loss of .* must be 0 with a gradient of 0 where no pixel is valid, but is nan"),
        (ConstantWhereEmpty, "must be differentiable where no pixel is valid"),
        (SumsInHalf, "loses digits of predictions in bfloat16"),
        (Negative, "must be finite and >= 0"),
        (Teaches, "has no gradient in the prediction"),
        (PerPixel, "^loss of .* must be one number"),
        (KnowsOneSize, "loss of .* is marked by any_size, but not that of the prediction at the label's size"),
        (WritesIntoTheLabel, "loss of .* changes what it is given"),
        (DrawsInLoss, "uses the global generator of torch"),
        (KeepsTheChannel, "must give a map of the label's form"),
        (DecodesInHalf, "in float32 or int64, but bfloat16 gives"),
        (OtherDirection, "says higher_is_better=False, but its metric says True"),
        (MissesTheBest, r"gives a perfect map .*, but the best score is 100"),
        (MeasuresIgnored, "counts pixels whose label is fill, 255"),
        (MeasuresTheLast, "image by image and .* all at once"),
        (OneMetric, "must give a fresh metric every time"),
        (AcceptsAnything, r"must refuse a class that does not exist \(254\)"),
        (AcceptsAnyShape, "must refuse a label of shape"),
        (RefusesIgnored, "must accept a label with pixels that are fill, but says: ignored"),
        (RaisesOnLabels, "must say what is wrong, not raise"),
        (TurnsUpsideDown, "must move the first column to the last"),
        (Shifts, "twice must be the label again"),
        (Rescales, "by 1 must be the label itself"),
        (DrawsFloats, r"must give an \(H, W, 3\) uint8 picture of a label"),
        (DrawsOver, r"draw\(\) of .* changes what it is given"),
        (StoresAnything, "must give what a PNG or NPY file keeps"),
        (ForgetsWhatItFitted, "has another loss after its state_dict\\(\\) was loaded"),
        (FitsAtRandom, "must learn the same from the same labels"),
        (WritesBeside, r"writes \['left'\] beside its cache"),
        (LoadsAnything, "must refuse a state that is not its own in one line, and nothing was"),
        (lambda classes: object(), r"must be an atrc\.tasks\.Task, but is object"),
    ],
)
def test_a_broken_promise_is_caught(broken: type[Task], message: str) -> None:
    with pytest.raises(AssertionError, match=message) as caught:
        check_task(broken, {"classes": 3})
    assert "\n" not in str(caught.value)
