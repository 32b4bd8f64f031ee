"""What options cost: multiply-adds, parameters or seconds, added up over choices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from searchspace.errors import InputError
from searchspace.space import SearchSpace

__all__ = ["Costs"]


@dataclass(frozen=True)
class Costs:
    """A cost per option. The cost of a genotype is the sum over its choices, and ``base``.

    Attributes:
        options: Choice -> option -> cost.
        base: What every genotype costs.
        unit: For labels: ``"multiply-adds"``, ``"parameters"``, ``"seconds"``.
    """

    options: Mapping[str, Mapping[str, float]]
    base: float = 0.0
    unit: str = ""

    def of(self, choices: Mapping[str, str]) -> float:
        """Cost of a genotype."""
        return self.base + math.fsum(self.options[choice][option] for choice, option in choices.items())

    def relative(self, space: SearchSpace) -> dict[str, dict[str, float]]:
        """Choice -> option -> its share of the range from the cheapest genotype, 0, to the most expensive one, 1.

        Raises:
            InputError: An option of the space has no cost.
        """
        for choice, options in space.items():
            missing = [option for option in options if option not in self.options.get(choice, {})]
            if missing:
                raise InputError(f"the option {missing[0]!r} of the choice {choice!r} has no cost")
        least = {choice: min(self.options[choice][o] for o in options) for choice, options in space.items()}
        most = {choice: max(self.options[choice][o] for o in options) for choice, options in space.items()}
        span = math.fsum(most.values()) - math.fsum(least.values())
        return {
            choice: {o: (self.options[choice][o] - least[choice]) / span if span else 0.0 for o in options}
            for choice, options in space.items()
        }
