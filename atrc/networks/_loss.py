"""The training loss of all tasks together."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from atrc.data import Batch
from atrc.networks._trunk import Predictions
from atrc.tasks import Task, loss_at

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
        loss = loss_at(task.loss, predictions.final[name], label)
        parts[name] = loss.detach()
        if name in predictions.regions:
            auxiliary = loss_at(task.aux_loss, predictions.regions[name], label)
            parts[f"{name}.aux"] = auxiliary.detach()
            loss = loss + auxiliary
        for scale, initial in enumerate(predictions.initial.get(name, ())):
            early = loss_at(task.loss, initial, label)
            parts[f"{name}.initial{scale}"] = early.detach()
            loss = loss + early
        total = total + task.weight * loss
    return total, parts
