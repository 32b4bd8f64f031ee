"""Every loss against its formula, written as loops in double precision; ignored pixels; nothing valid at all."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from atrc.tasks import IGNORE, TASKS, Depth, Edge, Field, HumanParts, Normals, Saliency, SemSeg, Task, loss_at
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


def small_and_label(
    sizes: tuple[int, int, int, int], classes: int, images: int, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, labels of which some are ignored, and weights of classes."""
    h, w, height, width = sizes
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(images, classes, h, w, generator=generator)
    label = torch.randint(0, classes, (images, height, width), generator=generator)
    label[torch.rand(label.shape, generator=generator) < 0.3] = IGNORE
    return logits, label, torch.rand(classes, generator=generator)


@given(
    sizes=st.tuples(*[st.integers(1, 9)] * 2, *[st.integers(1, 40)] * 2),
    classes=st.integers(2, 45),
    images=st.integers(1, 3),
    weighted=st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_cross_entropy_of_small_logits_is_that_of_enlarged_ones(
    sizes: tuple[int, int, int, int], classes: int, images: int, weighted: bool
) -> None:
    logits, label, weight = small_and_label(sizes, classes, images)
    logits.requires_grad_()
    exact = logits.detach().double().requires_grad_()
    found = cross_entropy(logits, label, weight if weighted else None)
    large = functional.interpolate(exact, sizes[2:], mode="bilinear", align_corners=False)
    valid = (label != IGNORE).sum().clamp(min=1)
    of_classes = weight.double() if weighted else None
    expected = functional.cross_entropy(large, label, of_classes, ignore_index=IGNORE, reduction="sum") / valid
    assert found.item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-9)
    (gradient,), (true,) = (torch.autograd.grad(2 * loss, of) for loss, of in ((found, logits), (expected, exact)))
    torch.testing.assert_close(gradient.double(), true, rtol=1e-4, atol=1e-5 * float(true.abs().max()) + 1e-12)


def test_cross_entropy_of_small_logits_has_the_same_bits_on_any_number_of_threads() -> None:
    logits, label, weight = small_and_label((5, 6, 20, 24), 7, 5)
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        leaf = logits.clone().requires_grad_()
        loss = cross_entropy(leaf, label, weight)
        found.append((loss.item(), torch.autograd.grad(loss, leaf)[0]))
    assert found[0][0] == found[1][0]
    assert torch.equal(found[0][1], found[1][1])


@pytest.mark.parametrize("wrong", [5, -1, 254])
def test_a_label_that_is_no_class_is_refused(wrong: int) -> None:
    logits, label, _ = small_and_label((3, 4, 12, 16), 5, 2)
    label[1, 7, 3] = wrong
    with pytest.raises(IndexError, match=r"neither a class, 0\.\.4, nor 255"):
        cross_entropy(logits, label)


def test_a_logit_that_is_no_number_makes_the_loss_none() -> None:
    logits, label, _ = small_and_label((3, 4, 12, 16), 5, 2)
    logits[1, 3, 1, 1] = math.nan
    label[:] = 0
    assert math.isnan(cross_entropy(logits, label).item())


def test_far_logits_neither_overflow_nor_vanish() -> None:
    logits = torch.tensor([0.0, 300.0, -300.0]).view(1, 3, 1, 1).requires_grad_()
    label = torch.tensor([[[0, 1, 2, 255]]])
    loss = cross_entropy(logits, label)
    assert loss.item() == pytest.approx((300 + 0 + 600) / 3)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient.flatten().tolist() == pytest.approx([-1 / 3, 2 / 3, -1 / 3])


@pytest.mark.parametrize(("name", "channels", "kind"), EVERY_LOSS)
def test_a_loss_at_a_size_is_that_of_the_enlarged_prediction(
    name: str, channels: Callable[[Task], int], kind: str
) -> None:
    task = TASKS[name]()
    _, label = draw(task, channels(task))
    label = label.float() if label.is_floating_point() else label
    small = torch.randn(B, channels(task), 3, 2, generator=torch.Generator().manual_seed(1))
    loss = getattr(task, kind)
    large = functional.interpolate(small, label.shape[-2:], mode="bilinear", align_corners=False)
    torch.testing.assert_close(loss_at(loss, small, label), loss(large, label))


def test_a_loss_of_ones_own_gets_predictions_of_the_size_of_labels() -> None:
    class Own(SemSeg):
        def loss(self, prediction: Tensor, label: Tensor) -> Tensor:
            assert prediction.shape[-2:] == label.shape[-2:]
            return super().loss(prediction, label)

    logits, label, _ = small_and_label((3, 4, 12, 16), 5, 2)
    torch.testing.assert_close(loss_at(Own(5).loss, logits, label), loss_at(SemSeg(5).loss, logits, label))


def test_the_nearest_centroid_is_that_of_the_definition() -> None:
    task = Normals()
    label = functional.normalize(torch.randn(3, 3, 37, 41, generator=torch.Generator().manual_seed(0)), dim=1)
    label[0, :, 0] = 0
    label[1, 1, 3] = math.nan
    label[1, 2, 4] = math.inf
    label[2, 0, 5, :9] = -math.inf
    found = task.nearest_centroid(label)
    invalid = ~label.isfinite().all(1) | (label == 0).all(1)
    assert (found[invalid] == IGNORE).all()
    distance = (label.movedim(1, -1)[..., None, :] - task.centroids).norm(dim=-1)[~invalid]
    chosen = distance.gather(1, found[~invalid][:, None])[:, 0]
    torch.testing.assert_close(chosen, distance.min(1).values, rtol=0, atol=1e-6)
    assert torch.equal(task.nearest_centroid(label.double()), found)
