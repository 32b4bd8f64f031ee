"""Every loss against its formula, written as loops in double precision; ignored pixels; nothing valid at all."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from atrc.tasks import IGNORE, TASKS, Depth, Edge, Field, HumanParts, Normals, Saliency, SemSeg, Task
from atrc.tasks._losses import cross_entropy
from searchspace.errors import InputError

B, H, W = 2, 3, 4


def draw(task: Task, channels: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random output and label of a task, a third of the pixels invalid."""
    rng = np.random.default_rng(seed)
    output = torch.from_numpy(rng.standard_normal((B, channels, H, W))).requires_grad_()
    invalid = rng.random((B, H, W)) < 0.33
    if isinstance(task, Normals):
        normals = rng.standard_normal((B, 3, H, W))
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        return output, torch.from_numpy(np.where(invalid[:, None], 0, normals))
    if isinstance(task, Depth):
        bad = rng.choice([0, np.nan, np.inf], (B, H, W))
        return output, torch.from_numpy(np.where(invalid, bad, rng.uniform(0.3, 14, (B, H, W))))
    if isinstance(task, Field):
        label = np.stack([rng.standard_normal((B, H, W)), rng.integers(0, task.regions, (B, H, W))], axis=1)
        return output, torch.from_numpy(np.where(invalid[:, None], np.nan, label))
    classes = 2 if isinstance(task, Edge | Saliency) else task.channels
    label = np.where(invalid, 255, rng.integers(0, classes, (B, H, W)))
    return output, torch.from_numpy(label.astype(np.uint8))


def pixels(output: Tensor, label: Tensor) -> list[tuple[np.ndarray, np.ndarray]]:
    """(output vector, label value or vector) of every pixel."""
    z, t = output.detach().numpy(), label.numpy()
    return [(z[b, :, y, x], t[b, ..., y, x]) for b, y, x in np.ndindex(B, H, W)]


def entropy(z: np.ndarray, k: int) -> float:
    """Cross entropy of one pixel."""
    return math.log(sum(math.exp(float(v)) for v in z)) - float(z[k])


def mean_cross_entropy(output: Tensor, label: Tensor, weights: dict[int, float] | None = None) -> float:
    terms = [
        entropy(z, int(t)) * (weights[int(t)] if weights else 1) for z, t in pixels(output, label) if int(t) != 255
    ]
    return sum(terms) / len(terms)


def depth_bin(d: float) -> int:
    return min(max(math.floor(40 * math.log(d / 0.7) / math.log(10 / 0.7)), 0), 39)


@pytest.mark.parametrize("task", [SemSeg(5), HumanParts()], ids=["semseg", "parts"])
@pytest.mark.parametrize("kind", ["loss", "aux_loss"])
def test_class_maps(task: Task, kind: str) -> None:
    output, label = draw(task, task.channels)
    assert getattr(task, kind)(output, label).item() == pytest.approx(mean_cross_entropy(output, label))


@pytest.mark.parametrize("kind", ["loss", "aux_loss"])
def test_saliency(kind: str) -> None:
    task = Saliency()
    output, label = draw(task, 2)
    valid = [int(t) for _, t in pixels(output, label) if int(t) != 255]
    w = valid.count(0) / len(valid)
    expected = mean_cross_entropy(output, label, {0: 1 - w, 1: w})
    assert getattr(task, kind)(output, label).item() == pytest.approx(expected, rel=1e-6)


def test_depth() -> None:
    task = Depth()
    output, label = draw(task, 1)
    terms = [abs(float(z[0]) - float(t)) for z, t in pixels(output, label) if math.isfinite(t) and t > 0]
    assert task.loss(output, label).item() == pytest.approx(sum(terms) / len(terms))


def test_depth_aux() -> None:
    task = Depth()
    output, label = draw(task, 40)
    terms = [entropy(z, depth_bin(float(t))) for z, t in pixels(output, label) if math.isfinite(t) and t > 0]
    assert task.aux_loss(output, label).item() == pytest.approx(sum(terms) / len(terms))


def test_normals() -> None:
    task = Normals()
    output, label = draw(task, 3)
    terms = [np.abs(z / np.linalg.norm(z) - t).sum() for z, t in pixels(output, label) if t.any()]
    assert task.loss(output, label).item() == pytest.approx(sum(terms) / len(terms))


def test_normals_aux() -> None:
    task = Normals()
    output, label = draw(task, 40)
    centroids = task.centroids.double().numpy()
    terms = [
        entropy(z, int(np.linalg.norm(centroids - t, axis=1).argmin())) for z, t in pixels(output, label) if t.any()
    ]
    assert task.aux_loss(output, label).item() == pytest.approx(sum(terms) / len(terms))


def test_edge() -> None:
    task = Edge(positive_weight=0.95)
    output, label = draw(task, 1)
    terms = []
    for z, t in pixels(output, label):
        p = 1 / (1 + math.exp(-float(z[0])))
        if int(t) != 255:
            terms.append(-0.95 * math.log(p) if int(t) else -0.05 * math.log(1 - p))
    assert task.loss(output, label).item() == pytest.approx(sum(terms) / len(terms))


def test_edge_aux() -> None:
    task = Edge()
    output, label = draw(task, 2)
    expected = mean_cross_entropy(output, label, {0: 0.2, 1: 0.8})
    assert task.aux_loss(output, label).item() == pytest.approx(expected, rel=1e-6)


def test_field() -> None:
    task = Field(region_weight=3)
    output, label = draw(task, 1)
    terms = [(float(z[0]) - t[0]) ** 2 for z, t in pixels(output, label) if np.isfinite(t[0])]
    assert task.loss(output, label).item() == pytest.approx(sum(terms) / len(terms))
    output, label = draw(task, 4)
    terms = [entropy(z, int(t[1])) for z, t in pixels(output, label) if np.isfinite(t[1])]
    assert task.aux_loss(output, label).item() == pytest.approx(3 * sum(terms) / len(terms))


EVERY_LOSS: list[tuple[str, Callable[[Task], int], str]] = [
    (name, channels, kind)
    for name in sorted({kind: name for name, kind in TASKS.items()}.values())
    for channels, kind in ((lambda task: task.channels, "loss"), (lambda task: task.regions, "aux_loss"))
]


@pytest.mark.parametrize(("name", "channels", "kind"), EVERY_LOSS)
def test_invalid_pixels_get_no_gradient_and_valid_ones_a_finite_one(
    name: str, channels: Callable[[Task], int], kind: str
) -> None:
    task = TASKS[name]()
    output, label = draw(task, channels(task))
    getattr(task, kind)(output, label).backward()
    flat = label if label.ndim == 4 else label[:, None]
    valid = (flat.isfinite() & (flat != task.fill)).any(1)
    assert output.grad is not None
    assert output.grad.isfinite().all()
    assert not output.grad.movedim(1, -1)[~valid].any()
    assert output.grad.movedim(1, -1)[valid].any()


def test_predictions_of_another_size_than_a_field_are_refused() -> None:
    with pytest.raises(InputError, match="differ in shape"):
        Field().loss(torch.zeros(2, 1, 8, 8), torch.zeros(2, 2, 4, 4))


@pytest.mark.parametrize("task", [Depth(), Edge()])
def test_label_with_a_channel_axis_is_refused(task: Task) -> None:
    with pytest.raises(InputError, match="differ in shape"):
        task.loss(torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 4))


@pytest.mark.parametrize("weighted", [False, True])
def test_gradient_of_the_cross_entropy_is_that_of_torch(weighted: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 5, 7, 6, dtype=torch.double, generator=generator, requires_grad=True)
    label = torch.randint(0, 5, (2, 7, 6), generator=generator)
    label[0, :3] = IGNORE
    weight = torch.rand(5, dtype=torch.double, generator=generator) if weighted else None
    ours = cross_entropy(logits, label, weight)
    theirs = functional.cross_entropy(logits, label, weight, ignore_index=IGNORE, reduction="sum") / 66
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-12)
    found, expected = (torch.autograd.grad(3 * loss, logits)[0] for loss in (ours, theirs))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-15)
