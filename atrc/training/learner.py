"""Networks with their optimiser, its schedule, and mixed precision.

`WeightLearner` trains a stand-alone network. `SearchLearner` holds a supernet, which `strategies.Search` trains.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from atrc.config import Training
from atrc.data import Batch
from atrc.inference import Predictor
from atrc.networks import multi_task_loss
from atrc.tasks import Task, load_task_states, task_states
from searchspace import Genotype
from strategies import clip_gradients
from strategies._optimizers import eager

__all__ = ["Learner", "SearchLearner", "WeightLearner", "build_optimizer", "learning_rate", "set_learning_rate"]


class Learner:
    """A network with its optimiser.

    Args:
        network: The network, on its device.
        training: Section of the config with schedule and optimiser.
        bfloat16: True for forward passes in bfloat16.
    """

    def __init__(self, network: Any, training: Training, *, bfloat16: bool = False) -> None:
        self.network = network
        self.training = training
        self.tasks: Mapping[str, Task] = network.tasks
        self.optimizer = build_optimizer(network.backbone, network, training)
        self.device = next(network.parameters()).device
        self.bfloat16 = bfloat16
        self.autocast = torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=bfloat16)


class WeightLearner(Learner):
    """A stand-alone network with its optimiser, which trains it."""

    def step(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Makes an optimiser step on a batch. Returns ``{"loss": ...}`` and the parts of the loss, detached.

        Args:
            batch: A batch of the training data.
            step: Number of the step, from 0.
        """
        set_learning_rate(self.optimizer, learning_rate(self.training, step))
        if not self.network.training:
            self.network.train()  # it visits all modules
        with self.autocast:
            predictions = self.network(batch.image, batch.mask)
        loss, parts = multi_task_loss(predictions, batch, self.tasks)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.training.clip_norm is not None:
            # The groups hold lists; a network would visit its modules for its parameters.
            groups = self.optimizer.param_groups
            clip_gradients((p for group in groups for p in group["params"]), self.training.clip_norm)
        self.optimizer.step()
        return {"loss": loss.detach(), **parts}

    def predictor(self) -> Predictor:
        """Returns the network for predictions, as validation uses it."""
        return Predictor(self.network, bfloat16=self.bfloat16)

    def state_dict(self) -> dict[str, Any]:
        """Returns all state: weights, optimiser, and what the tasks learnt from the data."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "tasks": task_states(self.tasks),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Loads the state of `state_dict`."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        load_task_states(self.tasks, state["tasks"])


class SearchLearner(Learner):
    """A supernet with the optimiser of its weights, for `strategies.Search`, which trains it."""

    def predictor(self, genotype: Genotype) -> Predictor:
        """Returns the supernet at a genotype for predictions, as validation uses it."""
        return Predictor(self.network, genotype, bfloat16=self.bfloat16)

    def schedule(self, step: int, progress: float) -> None:
        """Sets the learning rate of a step. It is the ``scheduler`` of a `strategies.Search`."""
        set_learning_rate(self.optimizer, learning_rate(self.training, step, progress))


def learning_rate(training: Training, step: int, progress: float | None = None) -> float:
    """Returns the learning rate of a step: linear warm-up times polynomial decay.

    Args:
        training: Section of the config with the schedule.
        step: Number of the step, from 0.
        progress: Finished fraction of the training, in [0, 1]; by default ``step / steps``.
    """
    warm = min(1.0, (step + 1) / (training.warmup + 1))
    decay: float = (1 - (step / training.steps if progress is None else progress)) ** training.power
    return training.lr * warm * decay


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the learning rate of every group: ``rate`` times the group's ``factor``."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]


def build_optimizer(backbone: nn.Module, network: nn.Module, training: Training) -> torch.optim.Optimizer:
    """Returns the optimiser of the weights. The ``factor`` of a group multiplies the learning rate."""
    of_backbone = {id(p) for p in backbone.parameters()}

    def group(inside: bool, factor: float) -> dict[str, Any]:
        parameters: Iterable[nn.Parameter] = network.parameters()
        return {"params": [p for p in parameters if (id(p) in of_backbone) is inside], "factor": factor}

    groups = [group(True, training.backbone_lr_factor), group(False, 1.0)]
    return _OPTIMIZERS[training.optimizer](groups, training)


def _sgd(groups: list[dict[str, Any]], training: Training) -> torch.optim.Optimizer:
    decay = training.weight_decay
    optimizer = eager(torch.optim.SGD)(
        groups, training.lr, momentum=training.momentum, weight_decay=decay, fused=True
    )
    if training.momentum:
        # The fused form cannot begin with some parameters later than with others, as sampled options do. The first
        # buffer is the first gradient either way.
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def _adamw(groups: list[dict[str, Any]], training: Training) -> torch.optim.Optimizer:
    return eager(torch.optim.AdamW)(groups, training.lr, weight_decay=training.weight_decay, fused=True)


# The fused forms update all parameters in one call, four times as fast on a CPU.
_OPTIMIZERS = {"sgd": _sgd, "adamw": _adamw}
