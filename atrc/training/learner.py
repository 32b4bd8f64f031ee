"""What is trained: a stand-alone network, or a supernet together with its strategy.

A learner owns everything that changes during training except the step counter; ``state_dict`` is all of it.
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
from strategies import DataUse, OneShotStrategy, search_step

__all__ = ["Learner", "SearchLearner", "WeightLearner", "build_optimizer", "learning_rate"]


class Learner(ABC):
    """One training.

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

    @property
    def data_use(self) -> DataUse:
        """Which batches a step reads."""
        return DataUse.SINGLE_LEVEL

    def step(self, batch: Batch, step: int, held_out: Batch | None = None) -> dict[str, Tensor]:
        """One optimiser step on a batch; ``{"loss": ...}`` and its parts, detached.

        Args:
            batch: Of the training data.
            step: Counted from 0.
            held_out: For a strategy that learns from data of its own.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.training, step) * group["factor"]
        self.network.train()
        return self._learn(batch, step, held_out)

    @abstractmethod
    def _learn(self, batch: Batch, step: int, held_out: Batch | None) -> dict[str, Tensor]: ...

    @abstractmethod
    def predict(self, batch: Batch) -> Predictions:
        """Predictions as validation wants them: for a supernet, at its argmax genotype."""

    def report(self) -> dict[str, Any] | None:
        """State of the architecture for the trajectory, or None."""
        return None

    def genotype(self) -> Genotype | None:
        """The genotype that would be named now, or None."""
        return None

    def state_dict(self) -> dict[str, Any]:
        """All state: weights, optimiser, and what the tasks learnt from the data."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "tasks": {name: task.state_dict() for name, task in self.tasks.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues from `state_dict`."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name, task in self.tasks.items():
            task.load_state_dict(state["tasks"][name])


class WeightLearner(Learner):
    """Trains a stand-alone network."""

    def __init__(self, network: MultiTaskNetwork, training: Training, *, autocast: bool = False) -> None:
        super().__init__(network, training, autocast=autocast)
        self.network: MultiTaskNetwork = network

    def _learn(self, batch: Batch, step: int, held_out: Batch | None) -> dict[str, Tensor]:
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


class SearchLearner(Learner):
    """Trains a supernet while its strategy searches."""

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

    def _learn(self, batch: Batch, step: int, held_out: Batch | None) -> dict[str, Tensor]:
        with self.autocast:
            loss = search_step(
                self.strategy,
                self.network,
                batch,
                self.optimizer,
                progress=step / self.training.steps,
                held_out=held_out,
                clip_norm=self.training.clip_norm,
            )
        return {"loss": loss}

    @property
    def data_use(self) -> DataUse:
        return self.strategy.data_use

    def predict(self, batch: Batch) -> Predictions:
        with self.autocast:
            selection = Selection.of(self.strategy.genotype())
            out: Predictions = self.network(batch.image, selection, batch.valid)
        return out

    def report(self) -> dict[str, Any]:
        return {**self.strategy.report(), "genotype": dict(self.strategy.genotype())}

    def genotype(self) -> Genotype:
        return self.strategy.genotype()

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "strategy": self.strategy.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.strategy.load_state_dict(state["strategy"])


def learning_rate(training: Training, step: int) -> float:
    """The learning rate of a step: linear warm-up times polynomial decay."""
    warm = min(1.0, (step + 1) / (training.warmup + 1))
    decay: float = (1 - step / training.steps) ** training.power
    return training.lr * warm * decay


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
