"""The training loss of all tasks together."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from atrc.data import Batch
from atrc.machine.tensors import full_precision
from atrc.networks._trunk import Predictions
from atrc.resizing import resize
from atrc.tasks import Task

__all__ = ["multi_task_loss"]


def multi_task_loss(
    predictions: Predictions, batch: Batch, tasks: Mapping[str, Task]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Returns the sum over tasks of weight x (final + auxiliary + initial losses), at the labels' resolution.

    Returns:
        The total (a scalar), and its unweighted parts, detached:
        ``{"semseg": ..., "semseg.aux": ..., "semseg.initial0": ...}``.
    """
    parts: dict[str, Tensor] = {}
    total = batch.image.new_zeros(())
    for name, task in tasks.items():
        label = batch.labels[name]
        size = (int(label.shape[-2]), int(label.shape[-1]))
        loss = task.loss(_enlarged(predictions.final[name], size), label)
        parts[name] = loss.detach()
        if name in predictions.regions:
            auxiliary = task.aux_loss(_enlarged(predictions.regions[name], size), label)
            parts[f"{name}.aux"] = auxiliary.detach()
            loss = loss + auxiliary
        for scale, initial in enumerate(predictions.initial.get(name, ())):
            early = task.loss(_enlarged(initial, size), label)
            parts[f"{name}.initial{scale}"] = early.detach()
            loss = loss + early
        total = total + task.weight * loss
    return total, parts


def _enlarged(prediction: Tensor, size: tuple[int, int]) -> Tensor:
    """Returns a prediction at the labels' size, ready for the losses.

    What they need is done on the small map: single precision, and one channel after the other.
    """
    return resize(full_precision(prediction).contiguous(), size)
