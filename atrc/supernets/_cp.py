"""The supernet of the cp space: a network whose distillation is the ATRC supergraph."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from atrc.contexts import CONTEXTS
from atrc.costs import Measure
from atrc.distillation import ATRC, Supergraph
from atrc.networks import MultiTaskNetwork, Parts, Predictions, on_grid
from atrc.supernets._base import SUPERNETS, MultiTaskSupernet
from searchspace import NONE, Costs, CPSpace, Genotype, SearchSpace, Selection, block

__all__ = ["ContextSupernet"]


@SUPERNETS.register("cp")
class ContextSupernet(MultiTaskSupernet):
    """A supernet that searches a context type for every pair of tasks. There is no dropout in search.

    Args:
        parts: The parts that networks are built from.
        space: The cp space of their tasks.
    """

    space_type = CPSpace

    def __init__(self, parts: Parts, space: CPSpace) -> None:
        super().__init__(parts, space, region_tasks=frozenset(parts.tasks))
        options = parts.model.of_contexts
        options.pop("dropout")
        self.supergraph = Supergraph(self.channels, space, **options)

    def forward(self, image: Tensor, selection: Selection, valid: Tensor | None = None) -> Predictions:
        encoded = self.encode(image)
        features, regions, _ = encoded
        return self.finish(self.supergraph(features, regions, selection, on_grid(valid, features)), encoded)

    def parts(self) -> dict[str, list[nn.Module]]:
        return {**super().parts(), "blocks": [self.supergraph], "fuse": [self.supergraph.rows]}

    @classmethod
    def network(cls, parts: Parts, genotype: Genotype) -> MultiTaskNetwork:
        return parts.network(lambda channels: ATRC(channels, genotype, **parts.model.of_contexts))

    @classmethod
    def costs(
        cls, parts: Parts, space: SearchSpace, measure: Measure, size: tuple[int, int], device: torch.device
    ) -> Costs:
        """Returns the costs of contexts for one image."""
        assert isinstance(space, CPSpace)
        with torch.device("meta"):
            encoder = parts.encoder()
        channels = parts.decoder.channels(encoder, parts.tasks)
        regions = {name: task.regions for name, task in parts.tasks.items()}
        return context_costs(space, channels, regions, encoder.grid(size), parts.model.of_contexts, measure, device)


def context_costs(
    space: CPSpace,
    channels: Mapping[str, int],
    regions: Mapping[str, int],
    grid: tuple[int, int],
    options: Mapping[str, Any],
    measure: Measure,
    device: torch.device,
) -> Costs:
    """Measures the costs of contexts. The sum over a genotype's options is its measured cost.

    The cost of an option is what its block adds while the other blocks of its row run. Cutting a whole row also saves
    the row's fusion, which a sum over blocks cannot express. Blocks that do the same work are measured once.

    Args:
        space: The space.
        channels: Task -> C.
        regions: Task -> R.
        grid: (h, w) of the features of one image.
        options: Options of `ATRC`.
        measure: A measure of cost.
        device: The device on which latency is measured.
    """
    device = measure.device(device)
    maps = tuple(
        {task: torch.zeros(1, width, *grid, device=device) for task, width in of.items()}
        for of in (channels, regions)
    )

    @functools.cache  # timings are noisy: every genotype is measured once
    def of(genotype: Genotype) -> float:
        with device:
            contexts = ATRC(channels, genotype, **options)
        return measure(contexts.eval(), maps)

    def work(target: str, source: str, option: str) -> tuple[object, ...]:
        """Returns everything that the cost of an option in a block depends on."""
        read = None if option == NONE else CONTEXTS[option].reads(target, source)
        return option, channels[target], channels[source], read and regions[read]

    found: dict[tuple[object, ...], float] = {}
    first = {choice: options[0] for choice, options in space.items()}
    last = {choice: options[-1] for choice, options in space.items()}
    costs: dict[str, dict[str, float]] = {}
    for target, source in space.pairs():
        choice = block(target, source)
        # rows are independent: the other rows get their first options
        row = first | {block(target, other): last[block(target, other)] for other in space.tasks}
        costs[choice] = {}
        for option in space[choice]:
            key = work(target, source, option)
            if key not in found:
                with_it, without = ({**row, choice: chosen} for chosen in (option, first[choice]))
                found[key] = of(space.genotype(with_it)) - of(space.genotype(without))
            costs[choice][option] = found[key]
    base = of(space.genotype(last)) - sum(costs[choice][option] for choice, option in last.items())
    return Costs(costs, base, measure.unit)
