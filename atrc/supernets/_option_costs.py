"""Costs of any space: every option by what it adds to the network of one genotype."""

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
    """Costs whose sum over choices is that of a genotype's network, where options cost the same beside any others.

    One genotype is the reference. An option costs what changes when it alone is taken instead.

    Args:
        space: The space.
        network: Gives the stand-alone network of a genotype.
        measure: A measure of cost.
        size: (H, W) of an image.
        device: Where a measure that computes modules does so.

    Raises:
        InputError: A constraint between choices forbids to change one option alone.
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
            f"({broken}); its supernet must say what genotypes cost (`costs`)"
        )
    return space.genotype(changed)
