"""What metrics see of padded batches."""

from __future__ import annotations

import pytest
import torch

from atrc.data import Batch
from atrc.inference import evaluate
from atrc.networks import Predictions
from atrc.tasks import Depth, Edge, Field

CANVAS = (60, 80)  # diagonal 100
SIZES = ((18, 24), (60, 80), (18, 24))  # diagonals 30, 100, 30


def padded(values: list[torch.Tensor], fill: float) -> torch.Tensor:
    canvas = torch.full((len(values), *CANVAS), fill)
    for map_, value in zip(canvas, values, strict=True):
        height, width = value.shape
        top, left = (CANVAS[0] - height) // 2, (CANVAS[1] - width) // 2
        map_[top : top + height, left : left + width] = value
    return canvas


@pytest.mark.parametrize(("shift", "expected"), [(0, 100), (1, 62.5), (2, 62.5), (4, 0)])
def test_the_tolerance_is_a_share_of_each_image_and_not_of_the_canvas(shift: int, expected: float) -> None:
    """At 3 % of the diagonal, a line may be 0.9 pixels off in the small images and 3 in the large one: 60 of 96."""
    lines, moved = [], []
    for height, width in SIZES:
        for kept, column in ((lines, 8), (moved, 8 + shift)):
            kept.append(torch.zeros(height, width))
            kept[-1][:, column] = 1
    valid = padded([torch.ones(size) for size in SIZES], 0).bool()[:, None]
    logits = torch.logit(padded(moved, 1).clamp(0.001, 0.999))[:, None]  # boundaries everywhere in the padding
    batch = Batch(torch.zeros(3, 3, *CANVAS), {"edge": padded(lines, 255).long()}, valid, ["a", "b", "c"])
    tasks = {"edge": Edge(max_distance=0.03, thresholds=1)}
    metrics = evaluate(lambda _: Predictions({"edge": logits}, {}), [batch], tasks, torch.device("cpu"))
    assert metrics["edge"] == pytest.approx(expected)


def test_other_metrics_are_those_of_the_whole_canvas() -> None:
    """Padding is ignored in the labels, so that cutting it off changes nothing."""
    generator = torch.Generator().manual_seed(0)
    depths = [1 + torch.rand(size, generator=generator) for size in SIZES]
    valid = padded([torch.ones(size) for size in SIZES], 0).bool()[:, None]
    label, prediction = padded(depths, 0), torch.rand(3, 1, *CANVAS, generator=generator)
    batch = Batch(torch.zeros(3, 3, *CANVAS), {"depth": label}, valid, ["a", "b", "c"])
    task = Depth()
    metrics = evaluate(
        lambda _: Predictions({"depth": prediction}, {}), [batch], {"depth": task}, torch.device("cpu")
    )
    whole = task.metric()
    whole.update(task.decode(prediction), label)
    assert metrics["depth"] == pytest.approx(float(whole.compute()))


def test_labels_on_a_grid_of_their_own_are_compared_on_it() -> None:
    """The prediction is on the labels' grid, so that nothing is enlarged; the image is ten times as large."""
    generator = torch.Generator().manual_seed(0)
    prediction, label = torch.randn(2, 1, 4, 5, generator=generator), torch.randn(2, 2, 4, 5, generator=generator)
    batch = Batch(torch.zeros(2, 3, 40, 50), {"a": label}, torch.ones(2, 1, 40, 50, dtype=torch.bool), ["a", "b"])
    assert batch.label_size == (4, 5)
    metrics = evaluate(lambda _: Predictions({"a": prediction}, {}), [batch], {"a": Field()}, torch.device("cpu"))
    assert metrics["a"] == pytest.approx(float((prediction[:, 0] - label[:, 0]).square().mean().sqrt()))
