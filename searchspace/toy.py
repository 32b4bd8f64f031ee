"""A space with a known optimum, for tests and for trying out strategies."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from searchspace.errors import InputError
from searchspace.genotype import Genotype
from searchspace.space import SPACES, SearchSpace

__all__ = ["ToySpace", "plant_costs"]


def plant_costs(space: Mapping[str, Sequence[str]], seed: int) -> dict[str, dict[str, float]]:
    """Draws choice -> option -> cost: 0 for one option of every choice, and 0.2 to 1 for the others."""
    rng = random.Random(seed)
    costs = {}
    for choice, options in space.items():
        best = rng.choice(options)
        costs[choice] = {o: 0.0 if o == best else rng.uniform(0.2, 1.0) for o in options}
    return costs


@SPACES.register("toy")
class ToySpace(SearchSpace):
    """A space of independent choices whose options have planted costs; the optimum is the cheapest option of each.

    Args:
        choices: Number of choices.
        options: Number of options per choice, at least 2.
        seed: Seed of the costs, see `plant_costs`.
    """

    def __init__(self, choices: int = 6, options: int = 4, seed: int = 0) -> None:
        if choices < 1 or options < 2:
            raise InputError(f"the toy space needs choices >= 1 and options >= 2, got {choices=}, {options=}")
        names = {f"c{i}": tuple(f"o{j}" for j in range(options)) for i in range(choices)}
        super().__init__("toy", names, {"choices": choices, "options": options, "seed": seed})
        self.costs = plant_costs(self, seed)

    @property
    def optimum(self) -> Genotype:
        """The genotype with score 0; all others score lower."""
        return self.genotype({c: min(costs, key=lambda o: costs[o]) for c, costs in self.costs.items()})

    def score(self, genotype: Mapping[str, str]) -> float:
        """Returns minus the summed cost, so higher is better."""
        return -sum(self.costs[choice][option] for choice, option in genotype.items())
