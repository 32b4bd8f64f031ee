"""Costs of genotypes in multiply-adds, parameters or seconds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from searchspace.errors import InputError
from searchspace.space import SearchSpace

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CostModel", "Costs"]


class CostModel(Protocol):
    """The costs of genotypes, for a search that weighs cost against quality.

    A *share* is the position of a genotype between the cheapest genotype of a space, 0, and the most expensive one,
    1.
    """

    @property
    def unit(self) -> str:
        """For labels: ``"multiply-adds"``, ``"parameters"``, ``"seconds"``."""
        ...

    def of(self, choices: Mapping[str, str]) -> float:
        """Returns the cost of a genotype."""
        ...

    def share(self, space: SearchSpace, choices: Mapping[str, str]) -> float:
        """Returns the share of a genotype."""
        ...

    def expected_share(self, space: SearchSpace, probabilities: Tensor) -> Tensor:
        """Returns the mean share of genotypes whose choices are drawn independently; differentiable.

        Args:
            space: Space of J choices with at most K options.
            probabilities: ``(J, K)``, 0 beyond a choice's options.
        """
        ...


@dataclass(frozen=True)
class Costs:
    """A cost per option (a `CostModel`). The cost of a genotype is the sum over its choices, and ``base``.

    Attributes:
        options: Choice -> option -> cost.
        base: Cost that every genotype has.
        unit: For labels: ``"multiply-adds"``, ``"parameters"``, ``"seconds"``.
    """

    options: Mapping[str, Mapping[str, float]]
    base: float = 0.0
    unit: str = ""
    # Every step of a search asks for the shares of all options, as a tensor on its device.
    _shares: dict[Any, Tensor] = field(default_factory=dict, init=False, repr=False, compare=False)

    def of(self, choices: Mapping[str, str]) -> float:
        """Returns the cost of a genotype."""
        return self.base + math.fsum(self.options[choice][option] for choice, option in choices.items())

    def relative(self, space: SearchSpace) -> dict[str, dict[str, float]]:
        """Returns choice -> option -> its share of the range from the cheapest to the most expensive genotype, 0..1.

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

    def share(self, space: SearchSpace, choices: Mapping[str, str]) -> float:
        relative = self.relative(space)
        return math.fsum(relative[choice][option] for choice, option in choices.items())

    def expected_share(self, space: SearchSpace, probabilities: Tensor) -> Tensor:
        key = space, probabilities.device, probabilities.dtype
        if key not in self._shares:
            relative, width = self.relative(space), probabilities.shape[1]
            rows = [[*relative[c].values(), *[0.0] * (width - len(options))] for c, options in space.items()]
            self._shares[key] = probabilities.new_tensor(rows)
        return (probabilities * self._shares[key]).sum()
