"""RMSE, mean angle and max F against loops over pixels; merging; empty input."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from atrc.metrics import MaxF, MeanAngle, RootMeanSquareError
from atrc.metrics.vectors import angle_between
from searchspace.errors import InputError

SEEDS = st.integers(0, 10**6)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_rmse_equals_loop_and_merges(seed: int) -> None:
    rng = np.random.default_rng(seed)
    prediction = rng.uniform(0, 10, (4, 3, 5)).astype(np.float32)
    label = rng.choice([0, np.nan, np.inf, -1, 1.5, 7.25], (4, 3, 5)).astype(np.float32)
    errors = [
        (float(p) - float(t)) ** 2
        for p, t in zip(prediction.ravel(), label.ravel(), strict=True)
        if math.isfinite(t) and t > 0
    ]
    metric, other = RootMeanSquareError(), RootMeanSquareError()
    metric.update(torch.from_numpy(prediction[:1]), torch.from_numpy(label[:1]))
    other.update(torch.from_numpy(prediction[1:]), torch.from_numpy(label[1:]))
    metric.merge_state(other)
    expected = math.sqrt(sum(errors) / len(errors)) if errors else math.nan
    assert float(metric.compute()) == pytest.approx(expected, rel=1e-12, nan_ok=True)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_mean_angle_equals_arc_cosine_and_merges(seed: int) -> None:
    rng = np.random.default_rng(seed)
    prediction = rng.standard_normal((4, 3, 2, 5))
    label = rng.standard_normal((4, 3, 2, 5))
    label = np.where(rng.random((4, 1, 2, 5)) < 0.3, 0, label)
    angles = []
    for b, y, x in np.ndindex(4, 2, 5):
        p, t = prediction[b, :, y, x], label[b, :, y, x]
        if t.any():
            angles.append(math.degrees(math.acos(p @ t / np.linalg.norm(p) / np.linalg.norm(t))))
    metric, other = MeanAngle(), MeanAngle()
    metric.update(torch.from_numpy(prediction[:3]), torch.from_numpy(label[:3]))
    other.update(torch.from_numpy(prediction[3:]), torch.from_numpy(label[3:]))
    metric.merge_state(other)
    assert float(metric.compute()) == pytest.approx(np.mean(angles), rel=1e-9)


@pytest.mark.parametrize("degrees", [0.0, 1e-4, 45.0, 90.0, 179.9999, 180.0])
def test_angle_is_exact_at_both_ends(degrees: float) -> None:
    turned = torch.tensor([math.cos(math.radians(degrees)), math.sin(math.radians(degrees)), 0.0])
    assert float(angle_between(torch.tensor([1.0, 0.0, 0.0]), turned)) == pytest.approx(degrees, abs=2e-5)


def test_zero_prediction_is_ninety_degrees_off() -> None:
    metric = MeanAngle()
    metric.update(torch.zeros(1, 3, 1, 1), torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1, 1))
    assert float(metric.compute()) == pytest.approx(90)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_max_f_equals_loops_and_merges(seed: int) -> None:
    rng = np.random.default_rng(seed)
    prediction = rng.integers(0, 21, (4, 3, 6)) / 20  # many values on the thresholds themselves
    label = rng.choice([0, 1, 255], (4, 3, 6)).astype(np.uint8)
    valid = label != 255
    best = 0.0
    for threshold in [step / 20 for step in range(1, 20)]:
        found = (prediction >= threshold) & valid
        hits = int((found & (label == 1)).sum())
        if hits:
            precision, recall = hits / found.sum(), hits / (label == 1).sum()
            best = max(best, 1.3 * precision * recall / (0.3 * precision + recall))
    metric, other = MaxF(), MaxF()
    metric.update(torch.from_numpy(prediction[:1]), torch.from_numpy(label[:1]))
    other.update(torch.from_numpy(prediction[1:]), torch.from_numpy(label[1:]))
    metric.merge_state(other)
    assert float(metric.compute()) == pytest.approx(100 * best, rel=1e-12)


def test_max_f_without_foreground_is_zero() -> None:
    metric = MaxF()
    metric.update(torch.ones(1, 2, 2), torch.zeros(1, 2, 2))
    assert float(metric.compute()) == 0


@pytest.mark.parametrize("metric", [RootMeanSquareError(), MeanAngle()])
def test_no_valid_pixel_is_nan(metric: RootMeanSquareError | MeanAngle) -> None:
    shape = (1, 3, 2, 2) if isinstance(metric, MeanAngle) else (1, 2, 2)
    metric.update(torch.ones(shape), torch.zeros(shape))
    assert torch.isnan(metric.compute())


def test_shapes_that_would_broadcast_are_refused() -> None:
    with pytest.raises(InputError, match="differ in shape"):
        RootMeanSquareError().update(torch.ones(2, 1, 4, 4), torch.ones(2, 4, 4))
    with pytest.raises(InputError, match=r"must be \(B, 3, H, W\)"):
        MeanAngle().update(torch.ones(2, 4, 4), torch.ones(2, 4, 4))
    with pytest.raises(InputError, match="differ in shape"):
        MaxF().update(torch.ones(2, 1, 4, 4), torch.ones(2, 4, 4))


@pytest.mark.parametrize("options", [{"thresholds": (0.5, 0.2)}, {"thresholds": ()}, {"beta_squared": 0}])
def test_max_f_refuses_options(options: dict) -> None:
    with pytest.raises(InputError):
        MaxF(**options)
