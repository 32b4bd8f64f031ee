"""Evaluation on a split: every task's metric, at the labels' resolution."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
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
    """Task -> metric in the task's unit.

    Args:
        predict: The network, already in evaluation mode.
        batches: The split, in any order.
        tasks: What is measured.
        device: Where ``predict`` computes.
        save: Called with every batch and its decoded maps once they are measured; leaves them as they are.
            `atrc.inference.PredictionFiles` writes them to files.
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
    """Metrics of a network on a split: task -> metric in the task's unit.

    Args:
        config: Says how many images at a time, and by how many processes they are prepared.
        predictor: The network.
        split: With the labels of all its tasks.
        save: See `evaluate`.
        stop: Asks for an early end.
        quiet: No progress bar.
        position: Line of the progress bar, where several runs share a screen.

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
    """Updates metrics with a batch; images of one size are passed together, without padding.

    A metric may depend on the size: the tolerance of the boundary measure is a share of the diagonal.

    Args:
        metrics: Task -> metric.
        decoded: Task -> ``(B, H, W)`` or ``(B, C, H, W)``.
        labels: Likewise.
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
    """Final predictions, resized bilinearly to ``size`` (H, W) and decoded into maps of the labels' form."""
    return {
        name: task.decode(F.interpolate(predictions.final[name].float(), size, mode="bilinear", align_corners=False))
        for name, task in tasks.items()
    }


def as_label(decoded: torch.Tensor) -> np.ndarray:
    """One map of `decode_predictions`, on the CPU, as a dataset's labels are: ``(H, W)``, or ``(H, W, C)``."""
    return (decoded.movedim(0, -1) if decoded.ndim == 3 else decoded).numpy()
