"""ODS-F on constructed cases with known answers; the matching and the thinning against slow references."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from skimage.morphology import thin as reference_thin

from atrc.machine.kernels import compiled, compiles
from atrc.metrics import BoundaryF, boundary, count_matches, match_boundaries
from atrc.metrics._thinning import thin
from atrc.metrics.boundary import count_matches_plainly
from searchspace.errors import InputError

from .conftest import SIZE, TWO_PIXELS, column


def ods_f(prediction: torch.Tensor, label: torch.Tensor | list[torch.Tensor], thresholds: int = 3) -> float:
    metric = BoundaryF(max_distance=TWO_PIXELS, thresholds=thresholds)
    metric.update(prediction, label)
    return float(metric.compute())


def brute_force_cardinality(prediction: np.ndarray, truth: np.ndarray, distance: float) -> int:
    """Size of a maximum matching by augmenting paths, one at a time."""
    left, right = np.argwhere(prediction), np.argwhere(truth)
    near = [[j for j, t in enumerate(right) if ((p - t) ** 2).sum() <= distance**2] for p in left]
    owner: dict[int, int] = {}

    def augment(i: int, seen: set[int]) -> bool:
        for j in near[i]:
            if j not in seen:
                seen.add(j)
                if j not in owner or augment(owner[j], seen):
                    owner[j] = i
                    return True
        return False

    return sum(augment(i, set()) for i in range(len(left)))


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    density=st.floats(0.02, 0.7),
    distance=st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0, 2.3, 3.7]),
)
def test_matching_is_one_to_one_and_maximal(seed: int, density: float, distance: float) -> None:
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 11, 2)
    prediction = rng.random((height, width)) < density
    truth = rng.random((height, width)) < density
    matched_prediction, matched_truth = match_boundaries(prediction, truth, distance)
    size = brute_force_cardinality(prediction, truth, distance)
    assert matched_prediction.sum() == matched_truth.sum() == size
    assert not (matched_prediction & ~prediction).any()
    assert not (matched_truth & ~truth).any()
    # The two masks must admit a perfect matching among themselves.
    assert brute_force_cardinality(matched_prediction, matched_truth, distance) == size


def scipy_cardinality(prediction: np.ndarray, truth: np.ndarray, distance: float) -> int:
    """Size of a maximum matching of the pixels within the distance, which SciPy finds its own way."""
    apart = np.argwhere(prediction)[:, None] - np.argwhere(truth)
    near = (apart**2).sum(2) <= distance**2
    return int((maximum_bipartite_matching(csr_array(near)) >= 0).sum()) if near.size else 0


@settings(max_examples=1000, deadline=None)
@given(
    seed=st.integers(0, 10**9),
    density=st.floats(0.02, 0.6),
    distance=st.sampled_from([0.0, 1.0, 1.5, 2.0, 2.9, 4.3]),
    masked=st.booleans(),
)
def test_matchings_are_as_large_as_scipys(seed: int, density: float, distance: float, masked: bool) -> None:
    """The plain form on any maps; the kernel, which thins, on what is thin already."""
    rng = np.random.default_rng(seed)
    size = rng.integers(1, 17, 2)
    (prediction,) = thin((rng.random(size) < density)[None])
    truth = rng.random(size) < density
    valid = rng.random(size) < 0.8 if masked else np.ones(size, dtype=bool)
    expected = scipy_cardinality(prediction & valid, truth & valid, distance)
    for found in match_boundaries(prediction & valid, truth & valid, distance):
        assert found.sum() == expected
    counts = count_matches(prediction.astype(np.float32), [truth], [0.5], distance, valid)
    assert [int(count[0]) for count in counts] == [
        expected,
        (prediction & valid).sum(),
        expected,
        (truth & valid).sum(),
    ]


def drawn_maps(seed: int, annotators: int) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """A prediction with a few distinct values, truths, and which pixels count."""
    rng = np.random.default_rng(seed)
    size = rng.integers(1, 24, 2)
    noise = rng.random(size)
    prediction = (np.round((noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1)) * 4) / 12).astype(np.float32)
    truths = [rng.random(size) < rng.uniform(0, 0.5) for _ in range(annotators)]
    return prediction, truths, rng.random(size) < 0.9


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 10**6), distance=st.sampled_from([0.0, 1.0, 1.76, 2.5, 4.2]), masked=st.booleans())
def test_the_kernel_counts_as_the_plain_form(seed: int, distance: float, masked: bool) -> None:
    prediction, truths, valid = drawn_maps(seed, 1)
    thresholds = [0, *np.arange(1, 12) / 12, 1]
    arguments = prediction, truths, thresholds, distance, valid if masked else None
    for ours, plain in zip(count_matches(*arguments), count_matches_plainly(*arguments), strict=True):
        assert np.array_equal(ours, plain)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), distance=st.sampled_from([7.8, 15.0, 31.0, 32.5, 40.0]))
def test_the_kernel_counts_with_wide_tolerances(seed: int, distance: float) -> None:
    """A row of the disk has up to 64 pixels in one word, or more."""
    rng = np.random.default_rng(seed)
    size = rng.integers(1, 70, 2)
    prediction = ndimage.gaussian_filter(rng.random(size), 1.0).astype(np.float32)
    truth = rng.random(size) < 0.05
    thresholds = np.quantile(prediction, np.arange(1, 6) / 6)
    arguments = prediction, [truth], np.unique(thresholds), distance
    for ours, plain in zip(count_matches(*arguments), count_matches_plainly(*arguments), strict=True):
        assert np.array_equal(ours, plain)


@pytest.mark.parametrize("size", [(0, 5), (4, 0), (1, 1)])
def test_the_kernel_counts_next_to_nothing(size: tuple[int, int]) -> None:
    counts = count_matches(np.ones(size, np.float32), [np.ones(size, bool)], [0.5], 1.5)
    assert [int(count[0]) for count in counts] == [size[0] * size[1]] * 4


@pytest.mark.parametrize("width", [1, 60, 61, 62, 63, 64, 65, 126, 127, 190])
def test_the_kernel_counts_at_the_ends_of_its_words(width: int) -> None:
    """It holds 64 pixels in a word, margins included."""
    generator = np.random.default_rng(width)
    prediction = ndimage.gaussian_filter(generator.random((23, width)), 1.5)
    prediction = ((prediction - prediction.min()) / np.ptp(prediction)).astype(np.float32)
    truth = generator.random(prediction.shape) < 0.1
    arguments = prediction, [truth], np.arange(1, 10) / 10, 1.5
    for ours, plain in zip(count_matches(*arguments), count_matches_plainly(*arguments), strict=True):
        assert np.array_equal(ours, plain)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), annotators=st.integers(2, 4))
def test_the_kernel_matches_several_annotators(seed: int, annotators: int) -> None:
    """Each matching is a maximum one; what all of them hit together is at least the largest of them."""
    prediction, truths, valid = drawn_maps(seed, annotators)
    thresholds = [0.2, 0.4, 0.6, 0.8]
    got = count_matches(prediction, truths, thresholds, 2.0, valid)
    alone = [count_matches_plainly(prediction, [truth], thresholds, 2.0, valid) for truth in truths]
    assert np.array_equal(got.predicted, alone[0].predicted)
    assert np.array_equal(got.truth, sum(one.truth for one in alone))
    assert np.array_equal(got.matched_truth, sum(one.matched_truth for one in alone))
    assert (got.matched_prediction >= np.max([one.matched_prediction for one in alone], axis=0)).all()
    assert (got.matched_prediction <= np.minimum(got.matched_truth, got.predicted)).all()


def test_several_annotators_are_counted_as_by_earlier_versions() -> None:
    """Which pixels they match together depends on the matchings, which try the nearest pixels first."""
    rng = np.random.default_rng(7)
    prediction = ndimage.gaussian_filter(rng.random((60, 80)), 1.2)
    prediction = ((prediction - prediction.min()) / np.ptp(prediction)).astype(np.float32)
    truths = [np.roll(rng.random((60, 80)) < 0.1, shift, 1) for shift in range(4)]
    counts = count_matches(prediction, truths, [0.2, 0.4, 0.6, 0.8], 2.9)
    assert [count.tolist() for count in counts] == [
        [159, 716, 498, 69],
        [162, 832, 540, 71],
        [406, 1563, 1299, 219],
        [1883, 1883, 1883, 1883],
    ]


def test_without_a_compiler_it_counts_plainly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    prediction, truths, valid = drawn_maps(3, 1)
    expected = count_matches(prediction, truths, [0.3, 0.5], 2.0, valid)
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setenv("ATRC_CACHE", str(tmp_path))
    for cached in (compiled, compiles):
        cached.cache_clear()
    try:
        assert not compiles(Path(boundary.__file__).with_name("boundary.c"))
        got = count_matches(prediction, truths, [0.3, 0.5], 2.0, valid)
    finally:
        for cached in (compiled, compiles):
            cached.cache_clear()
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(got, expected, strict=True))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), smooth=st.booleans())
def test_thinning_equals_scikit_image(seed: int, smooth: bool) -> None:
    rng = np.random.default_rng(seed)
    noise = rng.random((3, *rng.integers(1, 30, 2)))
    if smooth:
        noise = noise + np.roll(noise, 1, 1) + np.roll(noise, 1, 2) + np.roll(noise, 2, 2)
    maps = noise > np.quantile(noise, rng.random())
    for thinned, binary in zip(thin(maps), maps, strict=True):
        np.testing.assert_array_equal(thinned, reference_thin(binary))


def test_perfect_prediction() -> None:
    assert ods_f(column(5, 20), column(5, 20)) == 100


@pytest.mark.parametrize(("shift", "expected"), [(1, 100), (2, 100), (3, 0)])
def test_shift_within_and_outside_the_tolerance(shift: int, expected: float) -> None:
    assert ods_f(column(5 + shift), column(5)) == expected


def test_two_predictions_compete_for_one_truth() -> None:
    prediction, label = torch.zeros(2, 1, *SIZE)
    prediction[0, 10, [10, 12]] = 1
    label[0, 10, 11] = 1
    assert ods_f(prediction, label) == pytest.approx(100 * 2 * 0.5 * 1 / 1.5)


def test_one_prediction_for_two_truths() -> None:
    prediction, label = torch.zeros(2, 1, *SIZE)
    prediction[0, 10, 11] = 1
    label[0, 10, [10, 12]] = 1
    assert ods_f(prediction, label) == pytest.approx(100 * 2 * 0.5 * 1 / 1.5)


def test_a_thick_prediction_is_thinned() -> None:
    assert ods_f(column(9, 10, 11), column(10)) > 95  # its ends shrink by a pixel


@pytest.mark.parametrize("label", [column(5), torch.zeros(1, *SIZE)])
def test_empty_prediction_is_zero(label: torch.Tensor) -> None:
    assert ods_f(torch.zeros(1, *SIZE), label) == 0


def test_empty_truth_is_zero() -> None:
    assert ods_f(column(5), torch.zeros(1, *SIZE)) == 0


def test_best_threshold_over_the_data_set_is_found() -> None:
    prediction = 0.6 * column(5) + 0.3 * column(15)  # the second line is a false alarm below 0.5
    metric = BoundaryF(max_distance=TWO_PIXELS, thresholds=3)
    metric.update(prediction, column(5))
    curve = metric.curve()
    assert curve.threshold.tolist() == [0.25, 0.5, 0.75]
    assert curve.precision.tolist() == [0.5, 1, 0]
    assert curve.recall.tolist() == [1, 1, 0]
    assert curve.f.tolist() == pytest.approx([2 / 3, 1, 0])
    assert float(metric.compute()) == 100


def test_several_annotators() -> None:
    """A prediction is right if any annotator has it; recall sums over annotators."""
    metric = BoundaryF(max_distance=0.0, thresholds=1)
    metric.update(column(5, 25), [column(5), column(5, 15), column(15)])
    curve = metric.curve()
    assert float(curve.precision) == pytest.approx(1 / 2)
    assert float(curve.recall) == pytest.approx(2 / 4)


def test_ignored_pixels_count_on_neither_side() -> None:
    prediction, label = column(5, 20), column(5, 28)
    label[:, :, 17:] = 255
    assert ods_f(prediction, label) == 100


def test_merged_halves_equal_the_whole() -> None:
    generator = torch.Generator().manual_seed(0)
    prediction = torch.rand(4, 20, 30, generator=generator)
    label = (torch.rand(4, 20, 30, generator=generator) > 0.8).to(torch.uint8)
    whole, first, second = (BoundaryF(0.04, thresholds=5) for _ in range(3))
    whole.update(prediction, label)
    first.update(prediction[:1], label[:1])
    second.update(prediction[1:], label[1:])
    first.merge_state(second)
    for half, full in zip(first.curve(), whole.curve(), strict=True):
        assert torch.equal(half, full)
    assert 0 < float(whole.compute()) < 100


def test_shared_binary_maps_give_the_same_counts_as_separate_ones() -> None:
    """A map of few values has equal binary maps at many thresholds, which are matched once only."""
    generator = torch.Generator().manual_seed(1)
    prediction = torch.randint(0, 4, (1, 20, 20), generator=generator) / 4
    label = (torch.rand(1, 20, 20, generator=generator) > 0.7).to(torch.uint8)
    metric = BoundaryF(0.05, thresholds=39)
    metric.update(prediction, label)
    curve = metric.curve()
    for low, high in pairwise(range(39)):
        if torch.equal(prediction >= curve.threshold[low], prediction >= curve.threshold[high]):
            assert curve.precision[low] == curve.precision[high]
    alone = BoundaryF(0.05, thresholds=1)
    alone.update(prediction, label)
    assert curve.f[19] == alone.curve().f[0]
    assert curve.threshold[19] == 0.5


def test_refusals() -> None:
    with pytest.raises(InputError, match="share of the diagonal"):
        BoundaryF(max_distance=4)
    with pytest.raises(InputError, match="at least 1"):
        BoundaryF(thresholds=0)
    with pytest.raises(InputError, match="at least one ground truth"):
        BoundaryF().update(column(5), [])
    with pytest.raises(InputError, match="must be"):
        BoundaryF().update(column(5), column(5)[0])
