"""Opening a trained run: its network, its genotype, and what it predicts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from atrc.build import build_dataset, describe_dataset
from atrc.data import Batch, Dataset
from atrc.machine.devices import pick_device
from atrc.predict import predict_image, read_image
from atrc.runs import RunDirectory
from atrc.tasks import Task
from atrc.training import as_label, decode_predictions, load_learner
from searchspace import Genotype

__all__ = ["Opened", "open_run"]


class Opened:
    """A trained run, ready to predict. `open_run` makes it.

    Attributes:
        run: Its directory.
        network: The network in evaluation mode, on its device; of a search, the supernet.
        tasks: Task name -> task.
    """

    def __init__(self, run: RunDirectory, device: torch.device) -> None:
        self.run = run
        self._learner = load_learner(run, device)
        self.network = self._learner.network
        self.tasks: Mapping[str, Task] = self._learner.tasks

    @property
    def genotype(self) -> Genotype | None:
        """What was found or trained; None for a network without contexts."""
        return self._learner.genotype() or self.run.genotype()

    def split(self, name: str) -> Dataset:
        """A split of the run's dataset, ``"train"`` or ``"val"``."""
        return build_dataset(self.run.config, name, self.tasks)

    @torch.no_grad()
    def predict(self, image: Path | str | np.ndarray | Batch) -> dict[str, np.ndarray]:
        """Decoded maps, as a dataset's labels are.

        Args:
            image: A file; an image ``(H, W, 3)`` uint8 of any size; or a batch of the loaders of `atrc.data`.

        Returns:
            Task -> ``(H, W)`` or ``(H, W, C)``; of a batch with a dimension of B in front.

        Raises:
            InputError: The file is missing or cannot be read.
        """
        if isinstance(image, Batch):
            batch = image.to(self._learner.device)
            decoded = decode_predictions(self._learner.predict(batch), self.tasks, batch.label_size)
            return {task: np.stack([as_label(one.cpu()) for one in maps]) for task, maps in decoded.items()}
        pixels: Any = image if isinstance(image, np.ndarray) else read_image(Path(image))
        maps = predict_image(self._learner, pixels, describe_dataset(self.run.config).size)
        return {task: as_label(one) for task, one in maps.items()}


def open_run(run: Path | str | RunDirectory, device: str = "auto") -> Opened:
    """A trained run.

    Args:
        run: Its directory.
        device: Where it computes; ``"auto"`` takes a GPU where there is one.

    Raises:
        InputError: It is no run, has no checkpoint yet, or is a search by trials, which keeps no network.
    """
    directory = run if isinstance(run, RunDirectory) else RunDirectory.open(run)
    return Opened(directory, pick_device(device))
