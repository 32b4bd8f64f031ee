"""Predictions of a network for batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from atrc.data import Batch
from atrc.networks import Predictions
from atrc.tasks import Task
from searchspace import Genotype, Selection

__all__ = ["Predictor"]


class Predictor:
    """Predicts batches with a stand-alone network, or with a supernet at a genotype.

    Args:
        network: The network, on its device.
        genotype: The genotype at which a supernet predicts; None for a stand-alone network.
        bfloat16: True for forward passes in bfloat16.

    Attributes:
        device: Device of the network.
        autocast: Context for forward passes.
    """

    def __init__(self, network: nn.Module, genotype: Genotype | None = None, *, bfloat16: bool = False) -> None:
        self.network: Any = network
        self.device = next(network.parameters()).device
        self.genotype = genotype
        self.autocast = torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=bfloat16)

    @property
    def tasks(self) -> Mapping[str, Task]:
        """Task name -> task."""
        tasks: Mapping[str, Task] = self.network.tasks
        return tasks

    def __call__(self, batch: Batch) -> Predictions:
        """Returns predictions for a batch on the device."""
        selected = () if self.genotype is None else (Selection.of(self.genotype),)
        with self.autocast:
            out: Predictions = self.network(batch.image, *selected, batch.mask)
        return out
