"""Networks with what they are trained and used with: the optimiser, its schedule, mixed precision.

`WeightLearner` trains a stand-alone network. `SearchLearner` holds a supernet with its strategy; `strategies.Search`
trains that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from atrc.config import Training
from atrc.data import Batch
from atrc.network import MultiTaskNetwork, Predictions, SearchNetwork, multi_task_loss
from atrc.tasks import Task
from searchspace import Genotype, Selection
from strategies import OneShotStrategy

__all__ = ["Learner", "SearchLearner", "WeightLearner", "build_optimizer", "learning_rate", "set_learning_rate"]


class Learner(ABC):
    """A network that can predict.

    Args:
        network: On its device.
        training: Schedule and optimiser.
        autocast: Forward passes run in bfloat16.
    """

    network: MultiTaskNetwork | SearchNetwork
    tasks: Mapping[str, Task]

    def __init__(self, network: MultiTaskNetwork | SearchNetwork, training: Training, *, autocast: bool) -> None:
        self.training = training
        self.tasks = network.tasks
        self.optimizer = build_optimizer(network.backbone, network, training)
        self.device = next(network.parameters()).device
        self.autocast = torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=autocast)

    @abstractmethod
    def predict(self, batch: Batch) -> Predictions:
        """Predictions as validation wants them: for a supernet, at the genotype that its strategy names."""

    def genotype(self) -> Genotype | None:
        """The genotype that the strategy of a supernet names; None for other networks."""
        return None

    def task_state(self) -> dict[str, Any]:
        """What the tasks learnt from the training labels."""
        return {name: task.state_dict() for name, task in self.tasks.items()}

    def load_task_state(self, state: Mapping[str, Any]) -> None:
        """Inverse of `task_state`."""
        for name, task in self.tasks.items():
            task.load_state_dict(state[name])


class WeightLearner(Learner):
    """Trains a stand-alone network."""

    def __init__(self, network: MultiTaskNetwork, training: Training, *, autocast: bool = False) -> None:
        super().__init__(network, training, autocast=autocast)
        self.network: MultiTaskNetwork = network

    def step(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """One optimiser step on a batch; ``{"loss": ...}`` and its parts, detached.

        Args:
            batch: A batch of the training data.
            step: Counted from 0.
        """
        set_learning_rate(self.optimizer, learning_rate(self.training, step))
        self.network.train()
        with self.autocast:
            predictions = self.network(batch.image, batch.valid)
        loss, parts = multi_task_loss(predictions, batch, self.tasks)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.training.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.training.clip_norm)
        self.optimizer.step()
        return {"loss": loss.detach(), **parts}

    def predict(self, batch: Batch) -> Predictions:
        with self.autocast:
            out: Predictions = self.network(batch.image, batch.valid)
        return out

    def state_dict(self) -> dict[str, Any]:
        """All state: weights, optimiser, and what the tasks learnt from the data."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "tasks": self.task_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues from `state_dict`."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.load_task_state(state["tasks"])


class SearchLearner(Learner):
    """A supernet with its strategy, which `strategies.Search` trains."""

    def __init__(
        self,
        network: SearchNetwork,
        strategy: OneShotStrategy,
        training: Training,
        *,
        autocast: bool = False,
    ) -> None:
        super().__init__(network, training, autocast=autocast)
        self.network: SearchNetwork = network
        self.strategy = strategy

    def predict(self, batch: Batch) -> Predictions:
        with self.autocast:
            selection = Selection.of(self.strategy.genotype())
            out: Predictions = self.network(batch.image, selection, batch.valid)
        return out

    def genotype(self) -> Genotype:
        return self.strategy.genotype()

    def schedule(self, step: int, progress: float) -> None:
        """Sets the learning rate of a step: the ``scheduler`` of a `strategies.Search`."""
        set_learning_rate(self.optimizer, learning_rate(self.training, step, progress))


def learning_rate(training: Training, step: int, progress: float | None = None) -> float:
    """The learning rate of a step: linear warm-up times polynomial decay.

    Args:
        training: The schedule.
        step: Counted from 0.
        progress: Fraction of the training that is over, in [0, 1]; by default ``step / steps``.
    """
    warm = min(1.0, (step + 1) / (training.warmup + 1))
    decay: float = (1 - (step / training.steps if progress is None else progress)) ** training.power
    return training.lr * warm * decay


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the learning rate of every group: ``rate`` times the group's ``factor``."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]


def build_optimizer(backbone: nn.Module, network: nn.Module, training: Training) -> torch.optim.Optimizer:
    """The optimiser of the weights; ``factor`` of a group multiplies the learning rate."""
    of_backbone = {id(p) for p in backbone.parameters()}

    def group(inside: bool, factor: float) -> dict[str, Any]:
        parameters: Iterable[nn.Parameter] = network.parameters()
        return {"params": [p for p in parameters if (id(p) in of_backbone) is inside], "factor": factor}

    groups = [group(True, training.backbone_lr_factor), group(False, 1.0)]
    return _OPTIMIZERS[training.optimizer](groups, training)


_OPTIMIZERS = {
    "sgd": lambda groups, t: torch.optim.SGD(groups, t.lr, momentum=t.momentum, weight_decay=t.weight_decay),
    "adamw": lambda groups, t: torch.optim.AdamW(groups, t.lr, weight_decay=t.weight_decay),
}
