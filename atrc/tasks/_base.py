"""What a dense-prediction task is: its channels, losses, metric and picture.

A task is one class in one file. The trainer, the augmentations, the evaluation and the drawings know only this
interface, so a user's own task needs no other change (`atrc.tasks.TASKS`, or the entry-point group ``atrc.tasks``).

Shapes: B batch, H x W pixels, R label regions. Label arrays of a dataset are channel-last NumPy arrays; inside a
batch they are channel-first tensors.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image
from torch import Tensor
from torchmetrics import Metric

from atrc.tasks._pictures import index_picture
from searchspace.errors import InputError
from searchspace.paths import PathOptions
from searchspace.registry import Registry

__all__ = ["IGNORE", "TASKS", "Task", "load_task_states", "task_states"]

IGNORE = 255
"""The class index of a pixel that counts in no loss and in no metric."""

TASKS: Registry[type[Task]] = Registry("task", "atrc.tasks")


class Task(PathOptions, ABC):
    """One dense-prediction task on one dataset.

    Subclasses take dataset facts (classes, units, weights) as keyword arguments with the paper's values as
    defaults.

    Attributes:
        name: The registered name.
        channels: Output channels of the final prediction.
        regions: R, the number of label regions, i.e. the channels of the auxiliary map (Sec. 3.2.3).
        weight: Weight of this task's losses in the total.
        metric_name: Short name of the metric, for table heads, e.g. ``"mIoU"``.
        metric_unit: Unit behind the figure, e.g. ``"%"``, ``"m"``, ``"deg"``.
        higher_is_better: The metric's direction.
        fill: What a label pixel is set to where there is no image (padding).
    """

    name: ClassVar[str]
    metric_name: ClassVar[str]
    metric_unit: ClassVar[str]
    higher_is_better: ClassVar[bool]
    fill: ClassVar[float]

    channels: int
    regions: int
    weight: float

    @abstractmethod
    def loss(self, prediction: Tensor, label: Tensor) -> Tensor:
        """Loss of the final prediction, a scalar; exactly 0 (and differentiable) where no pixel is valid.

        Args:
            prediction: ``(B, channels, H, W)``, raw network output at the label's size.
            label: ``(B, H, W)``, or ``(B, C, H, W)`` for a task whose label has channels.
        """

    @abstractmethod
    def aux_loss(self, regions: Tensor, label: Tensor) -> Tensor:
        """Loss of the auxiliary region map, a scalar.

        Args:
            regions: ``(B, R, H, W)`` logits at the label's size.
            label: As for `loss`.
        """

    @abstractmethod
    def metric(self) -> Metric:
        """A fresh metric over decoded maps: ``metric.update(task.decode(prediction), label)``.

        ``compute()`` returns a scalar tensor in `metric_unit` (percentages as 0..100). The metrics of
        `atrc.metrics` know no network output; what turns it into a map is `decode` alone.
        """

    @abstractmethod
    def draw(self, label: np.ndarray) -> np.ndarray:
        """A label or decoded prediction as an ``(H, W, 3)`` uint8 picture.

        Args:
            label: ``(H, W)`` or, channel-last, ``(H, W, C)``: one map of `decode`'s batch, as an array, has its
                channels moved to the end first.
        """

    @abstractmethod
    def decode(self, prediction: Tensor) -> Tensor:
        """Raw network output ``(B, channels, H, W)`` as a map in the label's own form and units.

        Returns:
            ``(B, H, W)``, or ``(B, C, H, W)`` for a task whose label has channels. Where the label is a 0 / 1
            map that is scored at many thresholds (saliency, edges), this is the probability of 1.
        """

    def stored(self, label: np.ndarray) -> Image.Image | np.ndarray:
        """A decoded map as a file keeps it: a picture becomes a PNG, an array an NPY.

        Unless a task says otherwise, whole numbers ``(H, W)`` are an 8-bit picture of themselves, and anything else
        is kept as it is.

        Args:
            label: ``(H, W)`` or, channel-last, ``(H, W, C)``, as for `draw`.

        Raises:
            InputError: A whole number does not fit into 8 bits.
        """
        whole = label.ndim == 2 and label.dtype.kind in "bui"
        return index_picture(label) if whole else label

    def rescale_label(self, label: np.ndarray, scale: float) -> np.ndarray:
        """The label's values after the image grew by ``scale`` (depth shrinks; most tasks do not change)."""
        return label

    def crop_label(self, label: np.ndarray) -> np.ndarray:
        """The label of a training crop, given the part of the image's label that is inside."""
        return label

    def flip_label(self, label: np.ndarray) -> np.ndarray:
        """The label after a horizontal flip: ``(H, W)`` or ``(H, W, C)``."""
        return label[:, ::-1]

    def valid(self, label: np.ndarray) -> np.ndarray:
        """The pixels that count, ``(H, W)`` bool.

        Unless a task says otherwise these are, of a class map, all but 255; of a measured map, the finite ones that
        are not `fill`.

        Args:
            label: ``(H, W)`` or ``(H, W, C)``, as a dataset gives it.
        """
        channels = label if label.ndim == 3 else label[..., None]
        if self.fill == IGNORE:
            return np.asarray((channels != IGNORE).all(-1))
        return np.asarray(np.isfinite(channels).all(-1) & (channels != self.fill).any(-1))

    def check_label(self, label: np.ndarray) -> str | None:
        """What is wrong with a label's shape or values, in a few words, or None.

        Args:
            label: ``(H, W)`` or ``(H, W, C)``, as a dataset gives it.
        """
        return None

    def fit(self, labels: Iterable[np.ndarray], cache: Path) -> None:
        """Learns what the task takes from the training split (normals: the k-means centroids).

        Called once before training, evaluation or prediction. Most tasks learn nothing.

        Args:
            labels: Label arrays of the training split, read lazily.
            cache: The folder of the dataset's cache; what was fitted is kept there.
        """

    def state_dict(self) -> dict[str, Tensor]:
        """What `fit` learnt, for checkpoints; empty for a task that learns nothing."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Takes back what `state_dict` gave, in place of `fit`.

        Raises:
            InputError: The state is not of this task.
        """
        if state:
            raise InputError(f"task {self.name!r} keeps no state, but was given {', '.join(sorted(state))}")


def task_states(tasks: Mapping[str, Task]) -> dict[str, dict[str, Any]]:
    """Task name -> what it learnt from the training labels."""
    return {name: task.state_dict() for name, task in tasks.items()}


def load_task_states(tasks: Mapping[str, Task], states: Mapping[str, Any]) -> None:
    """Inverse of `task_states`."""
    for name, task in tasks.items():
        task.load_state_dict(states[name])
