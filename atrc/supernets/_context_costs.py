"""What every option of the cp space costs."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import torch

from atrc.contexts import CONTEXTS
from atrc.distillation import ATRC
from atrc.measures import Measure
from searchspace import NONE, Costs, CPSpace, Genotype, block

__all__ = ["context_costs"]


def context_costs(
    space: CPSpace,
    channels: Mapping[str, int],
    regions: Mapping[str, int],
    grid: tuple[int, int],
    options: Mapping[str, Any],
    measure: Measure,
    device: torch.device,
) -> Costs:
    """Costs whose sums are the measure's; blocks that do the same work are measured once.

    An option's cost is what its block adds while the other blocks of its row run; cutting a whole row saves the
    row's fusion as well, which no sum over blocks can say.

    Args:
        space: The space.
        channels: Task -> C.
        regions: Task -> R.
        grid: (h, w) of the features of one image.
        options: Of `ATRC`.
        measure: Of cost.
        device: Where latency is measured.
    """
    device = measure.device(device)
    maps = tuple(
        {task: torch.zeros(1, width, *grid, device=device) for task, width in of.items()}
        for of in (channels, regions)
    )

    @functools.cache  # two readings of a clock would differ
    def of(genotype: Genotype) -> float:
        with device:
            contexts = ATRC(channels, genotype, **options)
        return measure(contexts.eval(), maps)

    def work(target: str, source: str, option: str) -> tuple[object, ...]:
        """What decides how much an option does in a block."""
        read = None if option == NONE else CONTEXTS[option].reads(target, source)
        return option, channels[target], channels[source], read and regions[read]

    found: dict[tuple[object, ...], float] = {}
    first = {choice: options[0] for choice, options in space.items()}
    last = {choice: options[-1] for choice, options in space.items()}
    costs: dict[str, dict[str, float]] = {}
    for target, source in space.pairs():
        choice = block(target, source)
        # rows know nothing of each other: the others run as little as they may
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
