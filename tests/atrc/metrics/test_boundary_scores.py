"""ODS-F, OIS-F, AP and the counts behind them: known answers, loops written out, and states of several processes."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from atrc.metrics import BoundaryCounts, BoundaryF, BoundaryScores, boundary_curve, boundary_scores, count_matches

from .conftest import SIZE, TWO_PIXELS, column


def two_images() -> BoundaryF:
    """One is best at 0.5, where a false alarm is gone; of the other nothing is left there."""
    metric = BoundaryF(TWO_PIXELS, thresholds=3)
    metric.update(0.6 * column(5) + 0.3 * column(15), column(5))
    metric.update(0.3 * column(5), column(5))
    return metric


def test_counts_of_every_image() -> None:
    counts = two_images().counts()
    assert counts.matched_prediction.tolist() == [[24, 24, 0], [24, 0, 0]]
    assert counts.predicted.tolist() == [[48, 24, 0], [24, 0, 0]]
    assert counts.matched_truth.tolist() == [[24, 24, 0], [24, 0, 0]]
    assert counts.truth.tolist() == [[24, 24, 24]] * 2
    assert all(count.dtype == np.int64 for count in counts)
    assert counts.own_best().tolist() == [1, 0]
    assert [count.tolist() for count in counts.at(counts.own_best())] == [[24, 24]] * 4


def test_scores_of_two_images() -> None:
    """All at 0.25: P = 48/72, R = 1. Each at its own: all right. AP by hand."""
    metric = two_images()
    scores = metric.scores()
    rising = sum(step / 50 for step in range(51))  # from nothing to P = 1 at R = 0.5
    falling = sum(1 - step / 150 for step in range(1, 51))  # to P = 2/3 at R = 1
    assert scores == pytest.approx(
        BoundaryScores(
            ods_f=80, ods_threshold=0.25, ods_precision=200 / 3, ods_recall=100, ois_f=100, ap=rising + falling
        )
    )
    assert float(metric.compute()) == scores.ods_f
    assert scores.ap == pytest.approx(67)


def test_nothing_counts_outside_the_measured_recalls() -> None:
    """P falls from 1 to 0.5 between R = 0.25 and R = 0.5, which are 0.25 .. 0.5 of the grid."""
    counts = BoundaryCounts(*np.array([[[20, 10]], [[40, 10]], [[20, 10]], [[40, 40]]]))
    inside = sum(0.5 + 0.5 * (50 - step) / 25 for step in range(25, 51))
    assert boundary_scores(counts, [0.3, 0.6]).ap == pytest.approx(inside)


@pytest.mark.parametrize("thresholds", [1, 3])
def test_a_single_recall_has_no_area(thresholds: int) -> None:
    metric = BoundaryF(TWO_PIXELS, thresholds)
    metric.update(column(5), column(5))
    scores = metric.scores()
    assert scores.ap == 0
    assert scores.ods_f == scores.ois_f == 100


def test_of_equally_good_thresholds_the_lowest_counts() -> None:
    """P and R change places: F is 2/3 at both. Of two precisions at one recall, AP takes the lower threshold's."""
    same_f = BoundaryCounts(*np.array([[[2, 1]], [[4, 1]], [[2, 1]], [[2, 2]]]))
    scores = boundary_scores(same_f, [0.4, 0.8])
    assert (scores.ods_threshold, scores.ods_precision, scores.ods_recall) == (0.4, 50, 100)
    assert same_f.own_best().tolist() == [0]
    same_recall = BoundaryCounts(*np.array([[[4, 4, 0]], [[8, 4, 0]], [[4, 4, 0]], [[4, 4, 4]]]))
    assert boundary_scores(same_recall, [0.2, 0.5, 0.8]).ap == pytest.approx(sum(0.5 * r / 100 for r in range(101)))


def test_without_images_all_is_zero() -> None:
    metric = BoundaryF(thresholds=4)
    assert [count.shape for count in metric.counts()] == [(0, 4)] * 4
    assert metric.scores() == BoundaryScores(0, 0.2, 0, 0, 0, 0)
    assert metric.curve().f.tolist() == [0] * 4


def test_an_image_without_boundary_counts_at_the_lowest_threshold() -> None:
    """Its F is 0 everywhere; its false alarms count for OIS-F."""
    metric = BoundaryF(TWO_PIXELS, thresholds=3)
    metric.update(0.3 * column(15), torch.zeros(1, *SIZE))
    metric.update(column(5), column(5))
    assert metric.counts().own_best().tolist() == [0, 0]
    assert metric.scores().ois_f == pytest.approx(100 * 2 * 0.5 / 1.5)
    assert metric.scores().ods_f == 100


def drawn_counts(seed: int) -> BoundaryCounts:
    """Counts that could be: fewer are predicted at higher thresholds, and not more matched than there are."""
    rng = np.random.default_rng(seed)
    images, thresholds = rng.integers(1, 5), rng.integers(1, 9)
    predicted = -np.sort(-rng.integers(0, 30, (images, thresholds)), axis=1)
    truth = np.repeat(rng.integers(0, 30, (images, 1)), thresholds, axis=1)
    matched = rng.integers(0, np.minimum(predicted, truth) + 1)
    return BoundaryCounts(matched, predicted, np.minimum(truth, matched + rng.integers(0, 3)) * (matched > 0), truth)


def rates(matched_prediction: int, predicted: int, matched_truth: int, truth: int) -> tuple[float, float, float]:
    precision = matched_prediction / predicted if predicted else 0.0
    recall = matched_truth / truth if truth else 0.0
    return precision, recall, 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def interpolated(points: dict[float, float], at: float) -> float:
    """A polygon's height; 0 beside it."""
    if at in points:
        return points[at]
    for left, right in pairwise(sorted(points)):
        if left < at < right:
            return points[left] + (points[right] - points[left]) * (at - left) / (right - left)
    return 0.0


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_scores_equal_loops(seed: int) -> None:
    counts = drawn_counts(seed)
    images, steps = counts.predicted.shape
    thresholds = [(step + 1) / (steps + 1) for step in range(steps)]
    whole = [rates(*(int(count[:, step].sum()) for count in counts)) for step in range(steps)]
    best = max(range(steps), key=lambda step: whole[step][2])
    own = np.zeros(4, dtype=int)
    for image in range(images):
        of_image = [tuple(int(count[image, step]) for count in counts) for step in range(steps)]
        own += np.array(max(of_image, key=lambda four: rates(*four)[2]))
    points: dict[float, float] = {}
    for precision, recall, _ in whole:
        points.setdefault(recall, precision)
    area = sum(interpolated(points, step / 100) for step in range(101)) if len(points) > 1 else 0
    expected = 100 * np.array([whole[best][2], thresholds[best] / 100, *whole[best][:2], rates(*own)[2], area / 100])
    assert list(boundary_scores(counts, thresholds)) == pytest.approx(expected.tolist(), abs=1e-9)
    curve = boundary_curve(counts, thresholds)
    assert np.stack(curve[1:], axis=1) == pytest.approx(np.array(whole))


def drawn_maps(seed: int, images: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    label = (torch.rand(images, 12, 16, generator=generator) > 0.8).to(torch.uint8)
    prediction = 0.5 * torch.rand(images, 12, 16, generator=generator) + 0.4 * label
    return prediction, label


def test_batches_may_differ_in_size_and_annotators() -> None:
    """As images of BSDS500 do: each keeps its own counts, in the order in which it came."""
    prediction, label = drawn_maps(0, 3)
    other, first = drawn_maps(1, 1)
    other, first, second = other.mT, first.mT, 1 - first.mT
    metric = BoundaryF(0.06, thresholds=5)
    metric.update(prediction, label)
    metric.update(other, [first, second])
    counts = metric.counts()
    for image in range(3):
        alone = count_matches(prediction[image].numpy(), [label[image].numpy() == 1], metric.thresholds, 0.06 * 20)
        assert [count[image].tolist() for count in counts] == [count.tolist() for count in alone]
    alone = metric.count(other[0].numpy(), [first[0].numpy() == 1, second[0].numpy() == 1])
    assert [count[3].tolist() for count in counts] == [count.tolist() for count in alone]
    assert counts.truth[3, 0] == 12 * 16
    assert metric.counts().truth.shape == (4, 5), "counting one image alone adds nothing"


def test_merged_metrics_keep_every_image() -> None:
    prediction, label = drawn_maps(2, 5)
    whole, one, other = (BoundaryF(0.06, thresholds=7) for _ in range(3))
    whole.update(prediction, label)
    one.update(prediction[3:], label[3:])
    other.update(prediction[:1], label[:1])
    other.update(prediction[1:3], label[1:3])
    one.merge_state(other)
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(one.counts(), whole.counts(), strict=True))
    assert one.scores() == whole.scores()
    assert one.compute() == whole.compute()
    one.reset()
    assert one.counts().predicted.shape == (0, 7)


def test_forward_gives_the_batch_and_adds_it() -> None:
    prediction, label = drawn_maps(3, 4)
    whole, metric, batch = (BoundaryF(0.06, thresholds=7) for _ in range(3))
    whole.update(prediction, label)
    metric(prediction[:2], label[:2])
    batch.update(prediction[2:], label[2:])
    assert metric(prediction[2:], label[2:]) == batch.compute()
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(metric.counts(), whole.counts(), strict=True))


PROCESS = """
import json, sys
import torch
from atrc.metrics import BoundaryF

rank, folder = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
prediction, label = torch.load(f"{folder}/maps.pt")
said = {}
for name, shares in {"uneven": (1, 2), "nothing": (3, 0)}.items():
    metric = BoundaryF(0.06, thresholds=7)
    mine = slice(0, shares[0]) if rank == 0 else slice(shares[0], sum(shares))
    for image in range(3)[mine]:
        metric.update(prediction[image : image + 1], label[image : image + 1])
    counts = [count.tolist() for count in metric.counts()]
    curve = [rate.tolist() for rate in metric.curve()]
    said[name] = {"counts": counts, "curve": curve, "scores": metric.scores(), "odsF": float(metric.compute())}
    metric.update(prediction[:1], label[:1])  # what was gathered is not kept
    said[name]["then"] = metric.counts().truth.shape[0]
print(json.dumps(said))
"""


def test_scores_over_two_processes(tmp_path: Path) -> None:
    """Their shares differ in size; in the second part one of them has seen no image."""
    prediction, label = drawn_maps(4, 3)
    torch.save((prediction, label), tmp_path / "maps.pt")
    command = [sys.executable, "-c", PROCESS]
    started = [
        subprocess.Popen([*command, str(rank), str(tmp_path)], stdout=subprocess.PIPE, text=True) for rank in (0, 1)
    ]
    said = [json.loads(process.communicate(timeout=120)[0]) for process in started]
    whole = BoundaryF(0.06, thresholds=7)
    whole.update(prediction, label)
    expected = {
        "counts": [count.tolist() for count in whole.counts()],
        "curve": [rate.tolist() for rate in whole.curve()],
        "scores": list(whole.scores()),
        "odsF": float(whole.compute()),
        "then": 5,
    }
    assert said == [{"uneven": expected, "nothing": expected}] * 2
