"""RMSE, mean angle and max F against loops over pixels and plain double precision; merging; empty input."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics import Metric

from atrc.metrics import FirstChannelError, MaxF, MeanAngle, MeanIoU, RootMeanSquareError, mean_angle
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


def plain_mean_angle(prediction: np.ndarray, label: np.ndarray) -> float:
    """The definition, in double precision: unit vectors, and 2 atan2(|p - t|, |p + t|)."""
    p, t = (np.moveaxis(of.astype(np.float64), 1, -1).reshape(-1, 3) for of in (prediction, label))
    valid = np.isfinite(t).all(1) & (t != 0).any(1)
    p, t = p[valid], t[valid]
    if not len(t):
        return math.nan
    lengths = np.linalg.norm(p, axis=1, keepdims=True)
    p, t = p / np.where(lengths > 0, lengths, 1), t / np.linalg.norm(t, axis=1, keepdims=True)
    half = np.arctan2(np.linalg.norm(p - t, axis=1), np.linalg.norm(p + t, axis=1))
    return float(np.degrees(2 * half).mean())


PARTS = st.sampled_from([0.0, 1.0, -1.0, 0.5, 1e-3, -1e-6, 1e-12, 3e4]) | st.floats(-2, 2, width=32)
VECTORS = st.tuples(PARTS, PARTS, PARTS)
FACTORS = st.sampled_from([1.0, -1.0, 1e-8, -1e3, 0.0])
NUDGES = st.tuples(*[st.sampled_from([0.0, 0.0, 1e-7, -1e-5, 1e-2])] * 3)


@settings(max_examples=200, deadline=None)
@given(
    pixels=st.lists(st.tuples(VECTORS, FACTORS, NUDGES, st.sampled_from([1, 1, 1, math.nan, math.inf])), max_size=70)
)
def test_mean_angle_is_that_of_double_precision(pixels: list) -> None:
    """Parallel and opposite vectors, and nearly so; zero vectors; pixels that were not measured; nothing at all."""
    label = np.array([vector for vector, *_ in pixels], dtype=np.float32).reshape(1, -1, 3)
    factor = np.array([factor for _, factor, *_ in pixels], dtype=np.float32).reshape(1, -1, 1)
    nudge = np.array([nudge for *_, nudge, _ in pixels], dtype=np.float32).reshape(1, -1, 3)
    unmeasured = np.array([sign for *_, sign in pixels], dtype=np.float32).reshape(1, -1, 1)
    prediction = label * factor + nudge
    with np.errstate(invalid="ignore"):  # infinity times 0
        label = (label * unmeasured).transpose(0, 2, 1)[:, :, None]
    prediction = prediction.transpose(0, 2, 1)[:, :, None]
    expected = plain_mean_angle(prediction, label)
    for dtype in (torch.float32, torch.float64):  # in C, and in torch
        metric = MeanAngle()
        metric.update(torch.from_numpy(prediction).to(dtype), torch.from_numpy(label).to(dtype))
        assert float(metric.compute()) == pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True)


def test_equal_vectors_are_0_and_opposite_ones_180_degrees_apart() -> None:
    generator = torch.Generator().manual_seed(0)
    label = torch.randn(2, 3, 20, 30, generator=generator)
    for factor, expected in ((1, 0), (3.0, 0), (-1, 180)):
        metric = MeanAngle()
        metric.update(factor * label, label)
        assert float(metric.compute()) == pytest.approx(expected, abs=1e-5)
        metric = MeanAngle()
        metric.update(factor * label.double(), label.double())
        assert float(metric.compute()) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("make", [lambda of: of, lambda of: of.contiguous(memory_format=torch.channels_last)])
def test_mean_angle_in_c_is_that_in_torch(make: object, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(1)
    prediction, label = (make(torch.randn(3, 3, 37, 41, generator=generator)) for _ in range(2))  # type: ignore[operator]
    label[:, :, :5] = 0
    found = []
    for compiles in (True, False):
        monkeypatch.setattr(mean_angle, "compiles", lambda _, there=compiles: there)
        metric = MeanAngle()
        metric.update(prediction, label)
        found.append(float(metric.compute()))
        assert int(metric.pixels) == 3 * 32 * 41
    assert found[0] == pytest.approx(found[1], rel=1e-12)


@pytest.mark.parametrize("metric", [RootMeanSquareError(), MeanAngle(), MaxF()])
def test_no_image_at_all(metric: Metric) -> None:
    shape = (0, 3, 4, 5) if isinstance(metric, MeanAngle) else (0, 4, 5)
    metric.update(torch.zeros(shape), torch.zeros(shape))
    assert torch.isnan(metric.compute()) or isinstance(metric, MaxF)


METRICS = {
    "semseg": (lambda: MeanIoU(4), (2, 9, 7), torch.int64),
    "normals": (MeanAngle, (2, 3, 9, 7), torch.float32),
    "depth": (RootMeanSquareError, (2, 9, 7), torch.float32),
    "field": (FirstChannelError, (2, 2, 9, 7), torch.float32),
    "saliency": (MaxF, (2, 9, 7), torch.float32),
}


@pytest.mark.parametrize("name", METRICS)
def test_no_value_is_read_before_the_end(name: str) -> None:
    """Tensors without content stand for those of a GPU: they have no value to read, and cannot be copied away."""
    make, shape, dtype = METRICS[name]
    metric = make().to("meta")
    maps = torch.zeros(shape, dtype=dtype, device="meta")
    metric.update(maps, maps)
    with pytest.raises((RuntimeError, NotImplementedError)):
        float(metric.compute())


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


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, thresholds=st.integers(1, 100))
def test_max_f_counts_alike_at_few_thresholds_and_at_many(seed: int, thresholds: int) -> None:
    """Few are compared one by one, many are searched; a probability that is NaN passes all of them."""
    rng = np.random.default_rng(seed)
    prediction = rng.choice([0.0, 0.25, 0.5, 0.875, 1.0, np.nan], (2, 5, 6)).astype(np.float32)
    label = rng.choice([0, 1, 255], (2, 5, 6))
    metric = MaxF(thresholds=[(step + 1) / (thresholds + 1) for step in range(thresholds)])
    metric.update(torch.from_numpy(prediction), torch.from_numpy(label))
    for threshold, hits, detections in zip(metric.thresholds, metric.hits, metric.detections, strict=True):
        found = ~(prediction < np.float32(threshold)) & (label != 255)
        assert (int(hits), int(detections)) == ((found & (label == 1)).sum(), found.sum())


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
