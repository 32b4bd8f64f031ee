"""Measures of the cost of a module for given inputs: multiply-adds, parameters, seconds."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from atrc.costs._counting import count_module, count_parameters
from searchspace import Registry

__all__ = ["MEASURES", "Measure"]

REPEATS = 5


class Measure(ABC):
    """A measure of cost.

    Attributes:
        unit: Name of the unit, for labels.
        runs: True if the measure computes modules on their device; False if it needs shapes only.
    """

    unit: str
    runs: bool = False

    @abstractmethod
    def __call__(self, module: nn.Module, inputs: Sequence[Any]) -> float:
        """Returns the cost of a call of a module, in evaluation mode, with inputs on its device."""

    def device(self, device: torch.device) -> torch.device:
        """Returns the device that modules and inputs should be on."""
        return device if self.runs else torch.device("meta")


MEASURES: Registry[type[Measure]] = Registry("measure of cost", "atrc.cost_measures")


@MEASURES.register("multiply_adds")
class MultiplyAdds(Measure):
    """Multiply-adds, as `count_module` counts them."""

    unit = "multiply-adds"

    def __call__(self, module: nn.Module, inputs: Sequence[Any]) -> float:
        return count_module(module, inputs).multiply_adds


@MEASURES.register("parameters")
class Parameters(Measure):
    """Number of learned parameters."""

    unit = "parameters"

    def __call__(self, module: nn.Module, inputs: Sequence[Any]) -> float:
        return count_parameters(module)


@MEASURES.register("latency")
class Latency(Measure):
    """Seconds of a forward pass: the minimum over several passes, since noise only adds time."""

    unit = "seconds"
    runs = True

    def __call__(self, module: nn.Module, inputs: Sequence[Any]) -> float:
        module.eval()
        device = next(module.parameters(), torch.empty(0)).device
        spans = []
        with torch.no_grad():
            for _ in range(REPEATS + 1):
                _wait(device)
                start = time.perf_counter()
                module(*inputs)
                _wait(device)
                spans.append(time.perf_counter() - start)
        return min(spans[1:])  # the first one warms up


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
