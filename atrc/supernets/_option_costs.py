"""Measures costs of options in any space: what an option adds to the network of one genotype."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from atrc.costs import Measure
from searchspace import Costs, Genotype, InputError, SearchSpace

__all__ = ["option_costs"]


def option_costs(
    space: SearchSpace,
    network: Callable[[Genotype], nn.Module],
    measure: Measure,
    size: tuple[int, int],
    device: torch.device,
) -> Costs:
    """Measures the costs of options. Their sum is the cost of a genotype's network if options do not interact.

    One genotype is the reference. The cost of an option is the change when this option alone replaces that of the
    reference.

    Args:
        space: The space.
        network: Function that returns the stand-alone network of a genotype.
        measure: A measure of cost.
        size: (H, W) of an image.
        device: The device for measures that run modules, such as latency.

    Raises:
        InputError: A constraint between choices forbids a change of one option alone.
    """
    device = measure.device(device)
    image = torch.zeros(1, 3, *size, device=device)

    def of(genotype: Genotype) -> float:
        with device:
            net = network(genotype).to(device)
        return measure(net.eval(), [image])

    reference = next(space.enumerate())
    total = of(reference)
    costs: dict[str, dict[str, float]] = {}
    for choice, options in space.items():
        added = {o: total if o == reference[choice] else of(_changed(space, reference, choice, o)) for o in options}
        cheapest = min(added.values())
        costs[choice] = {option: cost - cheapest for option, cost in added.items()}
    base = total - sum(costs[choice][option] for choice, option in reference.items())
    return Costs(costs, base, measure.unit)


def _changed(space: SearchSpace, reference: Mapping[str, str], choice: str, option: str) -> Genotype:
    changed = {**reference, choice: option}
    if broken := space.violation(changed):
        raise InputError(
            f"options of space {space.name!r} cannot be measured one by one, since its choices depend on one another "
            f"({broken}); define `costs` in its supernet"
        )
    return space.genotype(changed)
