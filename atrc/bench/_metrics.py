"""``metrics``: from the raw output of a network to the counts of a metric, against a plain form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from atrc.bench._base import BENCHMARKS, Case, Setting
from atrc.metrics.vectors import unit_vectors
from atrc.tasks import IGNORE, Depth, Normals, Saliency, SemSeg, Task

__all__ = ["metrics"]

_IMAGES = 4


@BENCHMARKS.register("metrics")
def metrics(setting: Setting) -> Iterator[Case]:
    """Times enlarging, decoding and measuring a batch at NYUD-v2's size; the plain form has double precision."""
    size = (34, 45) if setting.quick else (425, 560)
    generator = torch.Generator().manual_seed(0)
    forms: dict[str, tuple[Task, Callable[[Tensor, Tensor], Tensor]]] = {
        "semseg": (SemSeg(), _confusion),
        "normals": (Normals(), _angles),
        "depth": (Depth(), _squares),
        "saliency": (Saliency(), _foreground),
    }
    for name, (task, plain) in forms.items():
        small = tuple(-(-side // 4) for side in size)
        raw = torch.randn(_IMAGES, task.channels, *small, generator=generator)
        label = _label(task, raw, size, generator).to(setting.device)
        raw = raw.to(setting.device)
        yield Case(
            f"{name}: {_IMAGES} images of {size[0]}x{size[1]}",
            {"ours": partial(_ours, task, raw, label), "plain": partial(_plainly, plain, raw, label)},
            reference="plain",
            point={"pixels": size[0] * size[1], "images": _IMAGES, "channels": task.channels},
        )


def _label(task: Task, raw: Tensor, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """A label near a prediction, with a tenth of the pixels not measured."""
    noisy = raw + torch.randn(raw.shape, generator=generator)
    label = task.decode_at(noisy, size)
    if isinstance(task, Saliency):
        label = (label > 0.5).long()
    unmeasured = torch.rand(len(raw), *size, generator=generator) < 0.1
    if label.ndim == 4:
        return torch.where(unmeasured[:, None], 0, label)
    return label.masked_fill(unmeasured, IGNORE if label.dtype == torch.int64 else 0)


def _ours(task: Task, raw: Tensor, label: Tensor) -> float:
    metric = task.metric().to(raw.device)
    metric.update(task.decode_at(raw, (label.shape[-2], label.shape[-1])), label)
    return float(metric.compute())


def _plainly(count: Callable[[Tensor, Tensor], Tensor], raw: Tensor, label: Tensor) -> float:
    large = functional.interpolate(raw, label.shape[-2:], mode="bilinear", align_corners=False)
    return float(count(large, label))


def _confusion(logits: Tensor, label: Tensor) -> Tensor:
    """Mean IoU of the valid pixels, which are selected first."""
    valid, classes = label != IGNORE, logits.shape[1]
    pairs = label[valid] * classes + logits.max(1).indices[valid]
    matrix = torch.bincount(pairs, minlength=classes**2).view(classes, classes).double()
    hits = matrix.diagonal()
    return 100 * (hits / (matrix.sum(0) + matrix.sum(1) - hits)).nanmean()


def _angles(vectors: Tensor, label: Tensor) -> Tensor:
    """Mean angle of unit vectors, by ``2 atan2(|p - t|, |p + t|)`` of whole maps."""
    p, t = (unit_vectors(of, 1) for of in (unit_vectors(vectors, 1).double(), label.double()))
    angle = 2 * torch.atan2((p - t).square().sum(1).sqrt(), (p + t).square().sum(1).sqrt())
    valid = label.isfinite().all(1) & (label != 0).any(1)
    return torch.rad2deg(angle[valid].mean())


def _squares(depth: Tensor, label: Tensor) -> Tensor:
    """Root of the mean squared error of the valid pixels."""
    valid = label.isfinite() & (label > 0)
    return (depth.squeeze(1).clamp(min=0).double()[valid] - label.double()[valid]).square().mean().sqrt()


def _foreground(logits: Tensor, label: Tensor) -> Tensor:
    """Largest F over the thresholds, which are tried one by one."""
    probability, best = logits.softmax(1)[:, 1], torch.zeros((), dtype=torch.float64, device=logits.device)
    for threshold in (step / 20 for step in range(1, 20)):
        found = (probability >= threshold) & (label != IGNORE)
        hits, positives = (found & (label == 1)).sum().double(), (label == 1).sum().double()
        best = torch.maximum(best, 1.3 * hits / (0.3 * positives + found.sum()).clamp(min=1))
    return 100 * best
