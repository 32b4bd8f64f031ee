"""Evaluation on a split: every task's metric, at the labels' resolution."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import torch
import torch.nn.functional as F

from atrc.data import Batch
from atrc.network import Predictions
from atrc.tasks import Task

__all__ = ["decode_predictions", "evaluate"]


@torch.no_grad()
def evaluate(
    predict: Callable[[Batch], Predictions],
    batches: Iterable[Batch],
    tasks: Mapping[str, Task],
    device: torch.device,
    *,
    save: Callable[[Batch, Mapping[str, torch.Tensor]], None] | None = None,
) -> dict[str, float]:
    """Task -> metric in the task's unit.

    Args:
        predict: The network, already in evaluation mode.
        batches: The split, in any order.
        tasks: What is measured.
        device: Where ``predict`` computes.
        save: Called with every batch and its decoded maps once they are measured; leaves them as they are.
            `atrc.training.prediction_files.PredictionFiles` writes them to files.
    """
    metrics = {name: task.metric().to(device) for name, task in tasks.items()}
    for cpu_batch in batches:
        batch = cpu_batch.to(device)
        decoded = decode_predictions(predict(batch), tasks, tuple(batch.image.shape[2:]))
        for maps, labels in _without_padding(cpu_batch, decoded, batch.labels):
            for name, metric in metrics.items():
                metric.update(maps[name], labels[name])
        if save is not None:
            save(cpu_batch, decoded)
    return {name: float(metric.compute()) for name, metric in metrics.items()}


def _without_padding(
    batch: Batch, *of: Mapping[str, torch.Tensor]
) -> Iterator[tuple[Mapping[str, torch.Tensor], ...]]:
    """Maps of a batch as they are where nothing is padded; else those of each size together, without padding.

    A metric may depend on the size: the tolerance of the boundary measure is a share of the diagonal.
    """
    if batch.valid.all():
        yield of
        return
    windows = batch.windows()
    alike: dict[tuple[int, ...], list[int]] = {}
    for index, window in enumerate(windows):
        alike.setdefault(tuple(side.stop - side.start for side in window), []).append(index)
    for indices in alike.values():
        yield tuple(
            {name: torch.stack([maps[i][..., *windows[i]] for i in indices]) for name, maps in one.items()}
            for one in of
        )


def decode_predictions(
    predictions: Predictions, tasks: Mapping[str, Task], size: tuple[int, ...]
) -> dict[str, torch.Tensor]:
    """Final predictions, resized bilinearly to ``size`` (H, W) and decoded into maps of the labels' form."""
    return {
        name: task.decode(F.interpolate(predictions.final[name].float(), size, mode="bilinear", align_corners=False))
        for name, task in tasks.items()
    }
