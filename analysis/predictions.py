"""Predictions of trained networks for the same images, beside the ground truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from analysis.load import SINGLE, Runs
from atrc.data import Batch, Subset, eval_transform, evaluation_batches
from atrc.inference import Predictor, decode_predictions, open_run
from atrc.inference.predict import draw_maps
from atrc.runs import RunDirectory
from atrc.runs.checkpoint import latest
from atrc.setup import Setup

__all__ = ["Example", "examples_table", "prediction_examples"]

FIRST = ("single", "multi", "retrain")
MOST = 3

Pictures = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Example:
    """One image, its labels, and the predictions of networks. All pictures are ``(H, W, 3)`` uint8.

    Attributes:
        sample: The sample's id.
        image: The image, as the dataset gives it.
        truth: Task -> picture of the label.
        predictions: Model -> task -> picture.
        metrics: Model -> task -> the metric on this image alone, in the task's unit; NaN where it has none.
    """

    sample: str
    image: np.ndarray
    truth: Pictures
    predictions: Mapping[str, Pictures]
    metrics: Mapping[str, Mapping[str, float]]


def prediction_examples(
    runs: Runs, experiment: str, *, models: Sequence[str] | None = None, count: int = 2
) -> list[Example]:
    """Predictions of an experiment's networks for some validation images.

    Args:
        runs: The runs.
        experiment: Name of one of their experiments.
        models: Names of models; ``single`` stands for all single-task ones. Each is shown by its first run that has a
            checkpoint, and left out where none has one. By default the baselines and the retrained network, and
            others where these are missing; three at most.
        count: Number of images, evenly spaced over the validation split.

    Returns:
        Empty where no model has a checkpoint.
    """
    of_experiment = runs.frame[runs.frame["experiment"] == experiment]
    others = [str(model) for model in of_experiment["model"] if not str(model).startswith(SINGLE)]
    shown: dict[str, dict[str, Predictor]] = {}
    for model in models or dict.fromkeys([*FIRST, *others]):
        if (models or len(shown) < MOST) and (of := _predictors(runs, experiment, model)):
            shown[model] = of
    if not shown:
        return []
    first = of_experiment["path"].iloc[0]
    tasks = {name: predictor.tasks[name] for of in shown.values() for name, predictor in of.items()}
    tasks = {name: tasks[name] for name in runs.tasks if name in tasks}
    dataset = Setup.of(runs.directories[first].config).split("val", tasks)
    indices = np.linspace(0, len(dataset) - 1, min(count, len(dataset)) + 2).round().astype(int)[1:-1]
    chosen = Subset(dataset, list(dict.fromkeys(indices.tolist())))
    batches = evaluation_batches(chosen, tasks, eval_transform(dataset.info.size))
    examples = []
    for number, batch in enumerate(batches):
        sample = chosen[number]
        predicted, metrics = {}, {}
        for model, of in shown.items():
            maps, metrics[model] = _predict(of, batch)
            predicted[model] = draw_maps(maps, tasks)
        truth = {name: task.draw(sample.labels[name]) for name, task in tasks.items()}
        examples.append(Example(sample.id, sample.image, truth, predicted, metrics))
    return examples


def examples_table(examples: Iterable[Example]) -> pd.DataFrame:
    """The metrics of single images: ``sample``, ``model``, ``task``, ``value``."""
    rows = [
        (one.sample, model, task, value)
        for one in examples
        for model, values in one.metrics.items()
        for task, value in values.items()
    ]
    return pd.DataFrame(rows, columns=["sample", "model", "task", "value"])


def _predictors(runs: Runs, experiment: str, model: str) -> dict[str, Predictor]:
    """Task -> a trained network that predicts it."""
    if model == "single":
        return {
            task: predictor
            for task in runs.tasks
            for predictor in _predictors(runs, experiment, f"{SINGLE}{task}").values()
        }
    rows = runs.frame[(runs.frame["experiment"] == experiment) & (runs.frame["model"] == model)]
    found: list[RunDirectory] = [runs.directories[path] for path in rows["path"]]
    # a search by trials has checkpoints and no network, hence no metrics
    trained = next((run for run in found if run.result().metrics and latest(run.checkpoints) is not None), None)
    if trained is None:
        return {}
    predictor = open_run(trained, trained.config.device).predictor
    return dict.fromkeys(predictor.tasks, predictor)


@torch.no_grad()
def _predict(predictors: Mapping[str, Predictor], cpu_batch: Batch) -> tuple[dict[str, Tensor], dict[str, float]]:
    """Decoded maps of a batch of one image, without its padding, and the metric of every task."""
    maps, metrics = {}, {}
    rows, columns = (np.flatnonzero(cpu_batch.valid[0, 0].any(axis).numpy()) for axis in (1, 0))
    window = (..., slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    for predictor in dict.fromkeys(predictors.values()):
        batch = cpu_batch.to(predictor.device)
        decoded = decode_predictions(predictor(batch), predictor.tasks, batch.label_size)
        for name, task in predictor.tasks.items():
            metric = task.metric().to(predictor.device)
            metric.update(decoded[name], batch.labels[name])
            metrics[name] = float(metric.compute())
            maps[name] = decoded[name][0].cpu()[window]
    return {name: maps[name] for name in predictors}, {name: metrics[name] for name in predictors}
