"""Opens a trained run: its network, its genotype, and its predictions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from atrc.data import Batch, Dataset
from atrc.data.decode import read_image
from atrc.inference._predictor import Predictor
from atrc.inference.evaluation import as_label, decode_predictions
from atrc.inference.predict import predict_image
from atrc.machine.devices import pick_device
from atrc.runs import RunDirectory
from atrc.runs.checkpoint import fitting, latest, load_checkpoint
from atrc.runs.earlier import upgraded_search
from atrc.setup import Setup
from atrc.tasks import Task, load_task_states
from searchspace import Genotype, InputError
from strategies import STRATEGIES, MultiTrialStrategy, NothingNamed, OneShotStrategy

__all__ = ["NoNetwork", "Opened", "open_run"]


class NoNetwork(InputError):
    """Raised for a run without a trained network: a search by trials, or a run without a checkpoint."""


class Opened:
    """A trained run, ready to predict. `open_run` makes it.

    Attributes:
        run: Directory of the run.
        setup: Setup of the run's config.
        network: The network in evaluation mode, on its device; for a search, the supernet.
        predictor: The network, applied to batches; a supernet predicts at the genotype that its strategy names.
        genotype: The genotype that was found or trained; None for a network without a genotype.
    """

    def __init__(self, run: RunDirectory, device: torch.device) -> None:
        self.run = run
        self.setup = Setup.of(run.config)  # imports plugins, which may define the strategy
        checkpoint = _newest(run)
        named: Genotype | None = None
        if run.spec.kind == "search":
            self.network, named = _open_supernet(run, self.setup, checkpoint, device)
        else:
            self.network = _open_network(run, self.setup, checkpoint, device)
        self.network.eval()
        self.genotype = named or run.genotype()
        self.predictor = Predictor(self.network, named, bfloat16=run.config.precision == "bfloat16")

    @property
    def tasks(self) -> Mapping[str, Task]:
        """Task name -> task. A single-task network has one task."""
        return self.predictor.tasks

    def split(self, name: str) -> Dataset:
        """Returns a split of the run's dataset, e.g. ``"train"`` or ``"val"``."""
        return self.setup.split(name, self.tasks)

    @torch.no_grad()
    def predict(self, image: Path | str | np.ndarray | Batch) -> dict[str, np.ndarray]:
        """Predicts decoded maps, in the form of a dataset's labels.

        Args:
            image: An image file, an image ``(H, W, 3)`` uint8 of any size, or a batch from a loader of `atrc.data`.

        Returns:
            Task -> ``(H, W)`` or ``(H, W, C)``; for a batch, ``(B, H, W)`` or ``(B, H, W, C)``.

        Raises:
            InputError: The file is missing or cannot be read.
        """
        if isinstance(image, Batch):
            batch = image.to(self.predictor.device)
            decoded = decode_predictions(self.predictor(batch), self.tasks, batch.label_size)
            return {task: np.stack([as_label(one.cpu()) for one in maps]) for task, maps in decoded.items()}
        pixels: Any = image if isinstance(image, np.ndarray) else read_image(Path(image), upright=True)
        maps = predict_image(self.predictor, pixels, self.setup.info.size)
        return {task: as_label(one) for task, one in maps.items()}


def _newest(run: RunDirectory) -> Path:
    """Returns the newest checkpoint of a run.

    Raises:
        NoNetwork: The run is a search by trials, or has no checkpoint yet.
    """
    if run.spec.kind == "search" and issubclass(STRATEGIES[run.config.strategy.name], MultiTrialStrategy):
        raise NoNetwork(
            f"run {run.path} is a search by trials, which keeps no network; train its genotype with: atrc retrain"
        )
    checkpoint = latest(run.checkpoints)
    if checkpoint is None:
        raise NoNetwork(f"run {run.path} has no checkpoint yet; start it with: atrc resume {run.path}")
    return checkpoint


def _open_network(run: RunDirectory, setup: Setup, checkpoint: Path, device: torch.device) -> Any:
    """Loads the stand-alone network of a run, and the states of its tasks."""
    saved = load_checkpoint(checkpoint)
    network = setup.network(run.spec.model, run.genotype(), pretrained=False).to(device)
    with fitting(checkpoint):
        network.load_state_dict(saved["learner"]["network"])
        load_task_states(network.tasks, saved["learner"]["tasks"])
    return network


def _open_supernet(run: RunDirectory, setup: Setup, checkpoint: Path, device: torch.device) -> tuple[Any, Genotype]:
    """Loads the supernet of a search, and returns it with the genotype that its strategy names."""
    saved = load_checkpoint(checkpoint)
    strategy = setup.strategy(run.spec.seed)
    assert isinstance(strategy, OneShotStrategy)
    network = setup.supernet(pretrained=False).to(device)
    with fitting(checkpoint):
        content = upgraded_search(saved, strategy, run.config.search.batch_size)
        network.load_state_dict(content["search"]["training"]["supernet"])
        strategy.load_state_dict(content["search"]["strategy"])
        load_task_states(network.tasks, content["tasks"])
    try:
        return network, strategy.genotype()
    except NothingNamed as error:
        raise NoNetwork(
            f"run {run.path} is not finished: {error}; continue it with: atrc resume {run.path}"
        ) from None


def open_run(run: Path | str | RunDirectory, device: str = "auto") -> Opened:
    """Opens a trained run.

    Args:
        run: Directory of the run.
        device: Device of the network; ``"auto"`` is a GPU if there is one, else the CPU.

    Raises:
        NoNetwork: The run has no checkpoint yet, or is a search by trials, which keeps no network.
        InputError: The folder is not a run, or its checkpoint is damaged.
    """
    directory = run if isinstance(run, RunDirectory) else RunDirectory.open(run)
    return Opened(directory, pick_device(device))
