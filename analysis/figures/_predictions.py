"""Predictions of networks beside the ground truth, for a few images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.style import INK, PAGE, new_figure, paper_style
from analysis.load import TaskInfo
from analysis.predictions import Example

__all__ = ["draw_predictions"]


def draw_predictions(examples: Sequence[Example], tasks: Mapping[str, TaskInfo]) -> Figure:
    """Per example a row of ground truth, beside the image, and a row per model with the metric of each picture.

    Args:
        examples: Examples of `analysis.predictions.prediction_examples`, all with the same models.
        tasks: Tasks of the columns, by name.
    """
    models = list(examples[0].predictions)
    shown = [name for name in tasks if name in examples[0].truth]
    height, width = examples[0].image.shape[:2]
    panel = PAGE / (1 + len(shown))
    rows = 1 + len(models)
    with paper_style():
        figure = new_figure(PAGE, len(examples) * (rows * (panel * height / width + 0.17) + 0.2))
        figure.set_layout_engine("constrained", h_pad=0.015, w_pad=0.02, hspace=0, wspace=0)
        axes = figure.subplots(len(examples) * rows, 1 + len(shown), squeeze=False)
        for number, example in enumerate(examples):
            block = axes[number * rows : (number + 1) * rows]
            _picture(block[0][0], example.image, example.sample)
            for ax, task in zip(block[0][1:], shown, strict=True):
                _picture(ax, example.truth[task], tasks[task].title if number == 0 else "")
            block[0][1].set_ylabel("truth")
            for row, model in zip(block[1:], models, strict=True):
                row[0].set_axis_off()
                row[1].set_ylabel(model)
                for ax, task in zip(row[1:], shown, strict=True):
                    if task in example.predictions[model]:
                        _picture(ax, example.predictions[model][task], "")
                        ax.set_xlabel(_metric(tasks[task], example.metrics[model][task]), fontsize=6.5, labelpad=1.5)
                    else:
                        ax.set_axis_off()
    return figure


def _picture(ax: Axes, picture: np.ndarray, title: str) -> None:
    ax.imshow(picture, interpolation="nearest")
    ax.set_title(title, weight="normal", loc="center", fontsize=7.5, pad=2)
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set(visible=True, color=INK, linewidth=0.4)


def _metric(task: TaskInfo, value: float) -> str:
    return "–" if math.isnan(value) else f"{task.metric} {value:.3g} {task.unit}".rstrip()
