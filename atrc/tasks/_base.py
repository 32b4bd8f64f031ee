"""The interface of a dense-prediction task: channels, losses, metric and picture.

A task is one class in one file. Training, augmentation, evaluation and drawing use this interface only. So a user's
own task needs no other change: it registers in `atrc.tasks.TASKS` or in the entry-point group ``atrc.tasks``.

Shapes: B batch, H x W pixels, R label regions. Label arrays of a dataset are channel-last NumPy arrays; inside a
batch they are channel-first tensors.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from PIL import Image
from torch import Tensor

from atrc.tasks._enlarged import enlarged
from atrc.tasks._pictures import index_picture
from searchspace.errors import InputError
from searchspace.paths import PathOptions
from searchspace.registry import Registry

if TYPE_CHECKING:
    from torchmetrics import Metric

__all__ = ["IGNORE", "TASKS", "Task", "load_task_states", "task_states"]

IGNORE = 255
"""The class index of a pixel that counts in no loss and in no metric."""

TASKS: Registry[type[Task]] = Registry("task", "atrc.tasks")


class Task(PathOptions, ABC):
    """One dense-prediction task on one dataset.

    Subclasses take the facts of a dataset (classes, units, weights) as keyword arguments. The defaults are the
    paper's values.

    Attributes:
        name: Registered name.
        channels: Output channels of the final prediction.
        regions: R, the number of label regions, i.e. the channels of the auxiliary map (Sec. 3.2.3).
        weight: Weight of this task's losses in the total.
        metric_name: Short name of the metric, for table heads, e.g. ``"mIoU"``.
        metric_unit: Unit behind the figure, e.g. ``"%"``, ``"m"``, ``"deg"``.
        higher_is_better: True if a higher metric is better.
        fill: Value of label pixels where there is no image (padding).
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
        """Returns the loss of the final prediction: a scalar, exactly 0 (and differentiable) if no pixel is valid.

        Args:
            prediction: ``(B, channels, H, W)``, raw network output at the label's size; of any size, if the method is
                marked by `any_size`.
            label: ``(B, H, W)``, or ``(B, C, H, W)`` for a task whose label has channels.
        """

    @abstractmethod
    def aux_loss(self, regions: Tensor, label: Tensor) -> Tensor:
        """Returns the loss of the auxiliary region map, a scalar.

        Args:
            regions: ``(B, R, H, W)`` logits at the label's size.
            label: The same label as for `loss`.
        """

    @abstractmethod
    def metric(self) -> Metric:
        """Returns a fresh metric over decoded maps, for ``metric.update(task.decode(prediction), label)``.

        ``compute()`` returns a scalar tensor in `metric_unit` (percentages as 0..100). The metrics of `atrc.metrics`
        do not take raw network output; only `decode` turns it into a map.
        """

    @abstractmethod
    def draw(self, label: np.ndarray) -> np.ndarray:
        """Draws a label or decoded prediction as an ``(H, W, 3)`` uint8 picture.

        Args:
            label: ``(H, W)`` or, channel-last, ``(H, W, C)``. For a map of `decode`, which is channel-first, the
                caller moves the channels to the end.
        """

    @abstractmethod
    def decode(self, prediction: Tensor) -> Tensor:
        """Turns raw network output ``(B, channels, H, W)`` into a map in the form and units of the label.

        Returns:
            ``(B, H, W)``, or ``(B, C, H, W)`` for a task whose label has channels. If the label is a 0 / 1 map that
            is scored at many thresholds (saliency, edges), the result is the probability of 1.
        """

    def decode_at(self, prediction: Tensor, size: tuple[int, ...]) -> Tensor:
        """Enlarges raw network output bilinearly to the size of a label, and decodes it.

        A task may know a faster way to the same map than to enlarge every channel.

        Args:
            prediction: ``(B, channels, h, w)``.
            size: H and W of the label.

        Returns:
            The map of `decode`, ``(B, H, W)`` or ``(B, C, H, W)``.
        """
        return self.decode(enlarged(prediction, size))

    def stored(self, label: np.ndarray) -> Image.Image | np.ndarray:
        """Returns a decoded map in the form that is written to a file: pictures become PNG, arrays NPY.

        By default ``(H, W)`` whole numbers become an 8-bit picture with these pixel values. Anything else stays an
        array.

        Args:
            label: ``(H, W)`` or, channel-last, ``(H, W, C)``, see `draw`.

        Raises:
            InputError: A whole number does not fit into 8 bits.
        """
        whole = label.ndim == 2 and label.dtype.kind in "bui"
        return index_picture(label) if whole else label

    def rescale_label(self, label: np.ndarray, scale: float) -> np.ndarray:
        """Returns the label's values after the image grew by ``scale`` (depth shrinks; most tasks do not change)."""
        return label

    def crop_label(self, label: np.ndarray) -> np.ndarray:
        """Returns the label of a training crop, given the part of the image's label inside the crop."""
        return label

    def flip_label(self, label: np.ndarray) -> np.ndarray:
        """Returns the label after a horizontal flip: ``(H, W)`` or ``(H, W, C)``."""
        return label[:, ::-1]

    def valid(self, label: np.ndarray) -> np.ndarray:
        """Returns the pixels that count, ``(H, W)`` bool.

        By default these are all pixels of a class map except 255, and all finite pixels of a measured map except
        `fill`.

        Args:
            label: ``(H, W)`` or ``(H, W, C)``, as a dataset gives it.
        """
        channels = label if label.ndim == 3 else label[..., None]
        if self.fill == IGNORE:
            return np.asarray((channels != IGNORE).all(-1))
        return np.asarray(np.isfinite(channels).all(-1) & (channels != self.fill).any(-1))

    def check_label(self, label: np.ndarray) -> str | None:
        """Returns in a few words what is wrong with a label's shape or values, or None if nothing is.

        Args:
            label: ``(H, W)`` or ``(H, W, C)``, as a dataset gives it.
        """
        return None

    def fit(self, labels: Iterable[np.ndarray], cache: Path) -> None:
        """Fits the task to the labels of the training split (normals: the k-means centroids).

        It is called once before training, evaluation or prediction. Most tasks fit nothing.

        Args:
            labels: Label arrays of the training split, read lazily.
            cache: Folder of the dataset's cache, which keeps the fitted values.
        """

    def state_dict(self) -> dict[str, Tensor]:
        """Returns the values that `fit` found, for checkpoints; empty for a task that fits nothing."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restores the values of `state_dict`, instead of `fit`.

        Raises:
            InputError: The state belongs to another task.
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
