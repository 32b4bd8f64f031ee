"""What every option of the cp space costs in a config's network, for searches that weigh cost."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping

import torch

from atrc.build import build_backbone, cp_space
from atrc.config import Config
from atrc.contexts import CONTEXTS
from atrc.distillation import ATRC
from atrc.network import feature_channels
from atrc.resources import count_module, count_parameters
from atrc.tasks import Task
from searchspace import NONE, Costs, Genotype, Registry, block

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
    return MEASURES[config.cost.measure](config, tasks, size, device)


class _Blocks:
    """What an option adds to the contexts of one image, by a measure of whole genotypes.

    Args:
        config: Of the networks.
        tasks: Its tasks.
        size: (H, W) of the image.
        device: Where the contexts run.
    """

    def __init__(
        self, config: Config, tasks: Mapping[str, Task], size: tuple[int, int], device: torch.device
    ) -> None:
        self.space = cp_space(config)
        self._options = config.model.of_contexts
        self._device = device
        with torch.device("meta"):
            self._channels = dict.fromkeys(tasks, feature_channels(build_backbone(config, pretrained=False)))
        grid = -(-size[0] // 4), -(-size[1] // 4)
        features = {name: torch.zeros(1, self._channels[name], *grid, device=device) for name in tasks}
        regions = {name: torch.zeros(1, task.regions, *grid, device=device) for name, task in tasks.items()}
        self.maps = features, regions
        self._regions = {name: task.regions for name, task in tasks.items()}

    def module(self, genotype: Genotype) -> ATRC:
        """The contexts of a genotype."""
        with self._device:
            return ATRC(self._channels, genotype, **self._options).eval()

    def costs(self, of: Callable[[Genotype], float], unit: str) -> Costs:
        """Costs whose sums are the measure's; blocks that do the same work are measured once."""
        of = functools.cache(of)  # two readings of a clock would differ
        space, found = self.space, {}
        first = {choice: options[0] for choice, options in space.items()}
        last = {choice: options[-1] for choice, options in space.items()}
        costs: dict[str, dict[str, float]] = {}
        for target, source in space.pairs():
            choice = block(target, source)
            # rows know nothing of each other: the others run as little as they may
            row = first | {block(target, other): last[block(target, other)] for other in space.tasks}
            costs[choice] = {}
            for option in space[choice]:
                work = self._work(target, source, option)
                if work not in found:
                    with_it, without = ({**row, choice: chosen} for chosen in (option, first[choice]))
                    found[work] = of(space.genotype(with_it)) - of(space.genotype(without))
                costs[choice][option] = found[work]
        base = of(space.genotype(last)) - sum(costs[choice][option] for choice, option in last.items())
        return Costs(costs, base, unit)

    def _work(self, target: str, source: str, option: str) -> tuple[object, ...]:
        """What decides how much an option does in a block."""
        read = None if option == NONE else CONTEXTS[option].reads(target, source)
        return option, self._channels[target], self._channels[source], read and self._regions[read]


def _multiply_adds(config: Config, tasks: Mapping[str, Task], size: tuple[int, int], device: torch.device) -> Costs:
    blocks = _Blocks(config, tasks, size, torch.device("meta"))
    return blocks.costs(lambda g: count_module(blocks.module(g), blocks.maps).multiply_adds, "multiply-adds")


def _parameters(config: Config, tasks: Mapping[str, Task], size: tuple[int, int], device: torch.device) -> Costs:
    blocks = _Blocks(config, tasks, size, torch.device("meta"))
    return blocks.costs(lambda g: count_parameters(blocks.module(g)), "parameters")


def _latency(config: Config, tasks: Mapping[str, Task], size: tuple[int, int], device: torch.device) -> Costs:
    """Seconds of the shortest of a few forward passes of the contexts of one image: disturbances lengthen them."""
    blocks = _Blocks(config, tasks, size, device)

    def measure(genotype: Genotype) -> float:
        module = blocks.module(genotype)
        spans = []
        with torch.no_grad():
            for _ in range(REPEATS + 1):
                _wait(device)
                start = time.perf_counter()
                module(*blocks.maps)
                _wait(device)
                spans.append(time.perf_counter() - start)
        return min(spans[1:])  # the first one warms up

    return blocks.costs(measure, "seconds")


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


MEASURES: Registry[Callable[..., Costs]] = Registry("measure of cost", "atrc.cost_measures")
MEASURES.register("multiply_adds")(_multiply_adds)
MEASURES.register("parameters")(_parameters)
MEASURES.register("latency")(_latency)
