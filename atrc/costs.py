"""What every option of the cp space costs in a config's network, for searches that weigh cost."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial

import torch

from atrc.build import build_network, cp_space
from atrc.config import Config
from atrc.network import MultiTaskNetwork
from atrc.resources import count_module
from atrc.tasks import Task
from searchspace import Costs, CPSpace, Genotype, Registry

__all__ = ["MEASURES", "option_costs"]

REPEATS = 5


def option_costs(config: Config, tasks: Mapping[str, Task], size: tuple[int, int], device: torch.device) -> Costs:
    """Costs by the config's ``cost.measure``.

    An option's cost is what its block adds while the other blocks of its row run; cutting a whole row saves the
    row's fusion as well, which no sum over blocks can say.

    Args:
        config: With a ``cost`` section.
        tasks: Its tasks.
        size: (H, W) of an image.
        device: Where latency is measured.

    Raises:
        UnknownNameError: No such measure.
    """
    assert config.cost is not None
    return MEASURES[config.cost.measure](config, tasks, cp_space(config), size, device)


def _differences(space: CPSpace, of: Callable[[Genotype], float], unit: str) -> Costs:
    reference = {choice: options[-1] for choice, options in space.items()}
    base = of(space.genotype(reference))
    options = {
        choice: {option: of(space.genotype({**reference, choice: option})) - base for option in options}
        for choice, options in space.items()
    }
    return Costs(options, base, unit)


def _module(config: Config, tasks: Mapping[str, Task], device: torch.device, genotype: Genotype) -> MultiTaskNetwork:
    with device:
        return build_network(config, tasks, "cost", genotype, pretrained=False).eval()


def _counted(
    which: str, config: Config, tasks: Mapping[str, Task], space: CPSpace, size: tuple[int, int], _: torch.device
) -> Costs:
    meta = torch.device("meta")

    def count(genotype: Genotype) -> float:
        network = _module(config, tasks, meta, genotype)
        return float(getattr(count_module(network.distillation, _maps(network, size, meta)), which))

    return _differences(space, count, which.replace("_", "-"))


def _latency(
    config: Config, tasks: Mapping[str, Task], space: CPSpace, size: tuple[int, int], device: torch.device
) -> Costs:
    """Median seconds of a forward pass of the contexts of one image."""

    def measure(genotype: Genotype) -> float:
        network = _module(config, tasks, device, genotype)
        maps = _maps(network, size, device)
        spans = []
        with torch.no_grad():
            for _ in range(REPEATS + 1):
                _wait(device)
                start = time.perf_counter()
                network.distillation(*maps)
                _wait(device)
                spans.append(time.perf_counter() - start)
        return statistics.median(spans[1:])  # the first one warms up

    return _differences(space, measure, "seconds")


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _maps(
    network: MultiTaskNetwork, size: tuple[int, int], device: torch.device
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Features and region maps of one image on the stride-4 grid."""
    grid = -(-size[0] // 4), -(-size[1] // 4)
    features = {name: torch.zeros(1, channels, *grid, device=device) for name, channels in network.channels.items()}
    regions = {name: torch.zeros(1, network.tasks[name].regions, *grid, device=device) for name in network.auxiliary}
    return features, regions


MEASURES: Registry[Callable[..., Costs]] = Registry("measure of cost", "atrc.cost_measures")
MEASURES.register("multiply_adds")(partial(_counted, "multiply_adds"))
MEASURES.register("parameters")(partial(_counted, "parameters"))
MEASURES.register("latency")(_latency)
