"""Evaluates a network on a split: the metric of every task, at the resolution of the labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from tqdm import tqdm

from atrc.config import Config
from atrc.data import Batch, Dataset, eval_transform, evaluation_batches, image_windows
from atrc.inference._predictor import Predictor
from atrc.machine.stopping import Interrupted, Stop
from atrc.networks import Predictions
from atrc.tasks import Task

if TYPE_CHECKING:
    from torchmetrics import Metric

__all__ = ["as_label", "decode_predictions", "evaluate", "evaluate_split", "update_metrics"]


@torch.no_grad()
def evaluate(
    predict: Callable[[Batch], Predictions],
    batches: Iterable[Batch],
    tasks: Mapping[str, Task],
    device: torch.device,
    *,
    save: Callable[[Batch, Mapping[str, torch.Tensor]], None] | None = None,
) -> dict[str, float]:
    """Returns task -> metric, in the task's unit.

    Args:
        predict: The network, already in evaluation mode.
        batches: The split, in any order.
        tasks: The tasks to measure.
        device: Device of ``predict``.
        save: Function that is called with every batch and its decoded maps after they are measured. It must not
            change them. `atrc.inference.PredictionFiles` writes them to files.
    """
    metrics = {name: task.metric().to(device) for name, task in tasks.items()}
    for cpu_batch in batches:
        batch = cpu_batch.to(device)
        decoded = decode_predictions(predict(batch), tasks, batch.label_size)
        update_metrics(metrics, decoded, batch.labels, cpu_batch.valid)
        if save is not None:
            save(cpu_batch, decoded)
    return {name: float(metric.compute()) for name, metric in metrics.items()}


def evaluate_split(
    config: Config,
    predictor: Predictor,
    split: Dataset,
    *,
    save: Callable[[Batch, Mapping[str, torch.Tensor]], None] | None = None,
    stop: Stop | None = None,
    quiet: bool = False,
    position: int = 0,
) -> dict[str, float]:
    """Measures a network on a split, and returns task -> metric in the task's unit.

    Args:
        config: Config with the batch size of evaluation, and the number of processes that load images.
        predictor: The network.
        split: The split, with the labels of all tasks of the network.
        save: See `evaluate`.
        stop: Flag that requests an early end.
        quiet: True for no progress bar.
        position: Line of the progress bar, if several runs share a screen.

    Raises:
        InputError: A sample cannot be read, or a prediction cannot be written.
        Interrupted: ``stop`` was requested.
    """
    batches = evaluation_batches(
        split,
        predictor.tasks,
        eval_transform(split.info.size),
        batch_size=config.evaluate_batch,
        workers=config.workers,
    )
    total = -(-len(split) // config.evaluate_batch)

    def watched() -> Iterator[Batch]:
        for batch in tqdm(
            batches, total=total, desc="evaluate", unit="batch", disable=quiet, position=position, leave=False
        ):
            if stop is not None and stop.requested:
                raise Interrupted("stopped during evaluation; a resumed run starts it again")
            yield batch

    predictor.network.eval()
    return evaluate(predictor, watched(), predictor.tasks, predictor.device, save=save)


def update_metrics(
    metrics: Mapping[str, Metric],
    decoded: Mapping[str, torch.Tensor],
    labels: Mapping[str, torch.Tensor],
    valid: torch.Tensor,
) -> None:
    """Updates metrics with a batch. Images of one size are passed together, without padding.

    A metric may depend on the image size: the tolerance of the boundary measure is a share of the diagonal.

    Args:
        metrics: Task -> metric.
        decoded: Task -> ``(B, H, W)`` or ``(B, C, H, W)``.
        labels: Task -> ``(B, H, W)`` or ``(B, C, H, W)``.
        valid: ``(B, 1, H, W)`` bool, see `Batch`.
    """
    if valid.all():
        for name, metric in metrics.items():
            metric.update(decoded[name], labels[name])
        return
    alike: dict[tuple[int, ...], list[tuple[int, tuple[slice, slice]]]] = {}
    for index, window in enumerate(image_windows(valid)):
        alike.setdefault(tuple(side.stop - side.start for side in window), []).append((index, window))
    for places in alike.values():
        for name, metric in metrics.items():
            cut = ([of[name][index][..., *window] for index, window in places] for of in (decoded, labels))
            metric.update(*map(torch.stack, cut))


def decode_predictions(
    predictions: Predictions, tasks: Mapping[str, Task], size: tuple[int, ...]
) -> dict[str, torch.Tensor]:
    """Resizes final predictions bilinearly to ``size`` (H, W), and decodes them into maps of the labels' form."""
    return {name: task.decode_at(predictions.final[name].float(), size) for name, task in tasks.items()}


def as_label(decoded: torch.Tensor) -> np.ndarray:
    """Returns a map of `decode_predictions`, which must be on the CPU, as a label: ``(H, W)`` or ``(H, W, C)``."""
    return (decoded.movedim(0, -1) if decoded.ndim == 3 else decoded).numpy()
