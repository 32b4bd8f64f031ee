"""Mean IoU against loops over classes, its two rules for absent classes, and merging."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from atrc.metrics import MeanIoU
from searchspace.errors import InputError


def brute_force(prediction: np.ndarray, label: np.ndarray, classes: int, absent: str) -> float:
    ious = []
    for k in range(classes):
        inside = [(p == k, t == k) for p, t in zip(prediction.ravel(), label.ravel(), strict=True) if t != 255]
        union = sum(p or t for p, t in inside)
        if union:
            ious.append(100 * sum(p and t for p, t in inside) / union)
        elif absent == "zero":
            ious.append(0.0)
    return float(np.mean(ious)) if ious else math.nan


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), classes=st.integers(2, 9), absent=st.sampled_from(["skip", "zero"]))
def test_equals_loops_and_merges(seed: int, classes: int, absent: str) -> None:
    rng = np.random.default_rng(seed)
    prediction = rng.integers(0, classes, (4, 5, 6))
    label = rng.choice([*range(0, classes, 2), 255], (4, 5, 6)).astype(np.uint8)
    whole, first, second = (MeanIoU(classes, absent=absent) for _ in range(3))
    whole.update(torch.from_numpy(prediction), torch.from_numpy(label))
    first.update(torch.from_numpy(prediction[:2]), torch.from_numpy(label[:2]))
    second.update(torch.from_numpy(prediction[2:]), torch.from_numpy(label[2:]))
    first.merge_state(second)
    expected = brute_force(prediction, label, classes, absent)
    assert float(whole.compute()) == pytest.approx(expected, abs=1e-9, nan_ok=True)
    assert torch.equal(first.confusion, whole.confusion)


def test_class_that_never_occurs() -> None:
    label = torch.tensor([[[0, 1, 255]]])
    for absent, expected in (("skip", 100.0), ("zero", 200 / 3)):
        metric = MeanIoU(3, absent=absent)
        metric.update(torch.tensor([[[0, 1, 2]]]), label)
        assert float(metric.compute()) == pytest.approx(expected)
    assert torch.isnan(metric.per_class()[2])


def test_nothing_valid_is_nan() -> None:
    metric = MeanIoU(3)
    metric.update(torch.zeros(1, 2, 2, dtype=torch.long), torch.full((1, 2, 2), 255))
    assert torch.isnan(metric.compute())


@pytest.mark.parametrize("wrong", [3, -1])
def test_refuses_unknown_class(wrong: int) -> None:
    with pytest.raises(InputError, match=rf"class {wrong} is out of range: classes are 0\.\.2"):
        MeanIoU(3).update(torch.tensor([[[0]]]), torch.tensor([[[wrong]]]))


def test_refuses_other_shape_and_rule() -> None:
    with pytest.raises(InputError, match="differ in shape"):
        MeanIoU(3).update(torch.zeros(1, 2, 2), torch.zeros(1, 2, 3))
    with pytest.raises(InputError, match="absent must be"):
        MeanIoU(3, absent="drop")  # type: ignore[arg-type]


def test_a_large_map_is_counted_piece_by_piece() -> None:
    generator = torch.Generator().manual_seed(0)
    label, prediction = torch.randint(0, 40, (2, 3, 250, 401), generator=generator)
    label[torch.rand(label.shape, generator=generator) < 0.1] = 255
    metric = MeanIoU(40)
    metric.update(prediction, label)
    valid = label != 255
    pairs = torch.bincount(label[valid] * 40 + prediction[valid], minlength=1600)
    assert torch.equal(metric.confusion, pairs.view(40, 40))


def test_what_is_predicted_of_ignored_pixels_does_not_matter() -> None:
    metric = MeanIoU(3)
    metric.update(torch.tensor([[[0, 99, -7]]]), torch.tensor([[[0, 255, 255]]]))
    assert metric.confusion.sum() == 1


def test_an_unknown_class_is_refused_at_the_end_too() -> None:
    """Where the counts are on a GPU, `update` does not wait for them."""
    metric = MeanIoU(3)
    metric.update(torch.tensor([[[0]]]), torch.tensor([[[0]]]))
    metric.highest += 3
    with pytest.raises(InputError, match=r"class 3 is out of range"):
        metric.compute()
