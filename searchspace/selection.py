"""Selections: what a strategy hands to a supernet for one step.

A selection gives each choice a weight per option and says which options are *active*. An inactive option is not
computed at all, so a one-hot or path-sampled selection costs what the derived network costs. This one type is why
every strategy runs on every supernet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from searchspace.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from searchspace.genotype import Genotype
    from searchspace.space import SearchSpace

__all__ = ["Selection", "Weighted"]


class Weighted(NamedTuple):
    """An active option. ``weight`` None stands for a constant 1: nothing to multiply."""

    option: str
    weight: Tensor | None


@dataclass(frozen=True)
class Selection:
    """Active options with their weights, for every choice of a space.

    Attributes:
        options: Choice -> its active options, at least one, in the space's order. Weights are scalar tensors
            on any device, differentiable where the strategy learns through them.
    """

    options: Mapping[str, tuple[Weighted, ...]]

    def __getitem__(self, choice: str) -> tuple[Weighted, ...]:
        return self.options[choice]

    def active(self, choice: str) -> tuple[str, ...]:
        """Names of the active options of a choice."""
        return tuple(option for option, _ in self.options[choice])

    @classmethod
    def of(cls, genotype: Genotype) -> Selection:
        """The one-hot selection of a genotype: constant weight 1, everything else inactive."""
        return cls({choice: (Weighted(option, None),) for choice, option in genotype.items()})

    def mix(self, choice: str, outputs: Mapping[str, Tensor]) -> Tensor | None:
        """The weighted sum of what the active options of a choice put out.

        Args:
            choice: Name of the choice.
            outputs: Option -> its output, all of one shape. An option that puts out nothing (``none``) is left out.

        Returns:
            In the dtype and on the device of the outputs; None if no active option puts out anything.
        """
        mixed: Tensor | None = None
        for option, weight in self.options[choice]:
            if option in outputs:
                x = outputs[option]
                term = x if weight is None else x * weight.to(x.device, x.dtype)
                mixed = term if mixed is None else mixed + term
        return mixed

    def detach(self) -> Selection:
        """The same selection, through whose weights nothing learns."""
        return Selection(
            {
                choice: tuple(
                    Weighted(option, None if weight is None else weight.detach()) for option, weight in active
                )
                for choice, active in self.options.items()
            }
        )

    def check(self, space: SearchSpace) -> None:
        """Raises InputError unless every choice of ``space`` has active options, and only its own."""
        for choice in space:
            active = self.active(choice) if choice in self.options else ()
            if not active:
                raise InputError(f"selection leaves the choice {choice!r} without an active option")
            foreign = [option for option in active if option not in space[choice]]
            if foreign:
                raise InputError(
                    f"selection activates {foreign[0]!r} in the choice {choice!r}, whose options are "
                    f"{', '.join(space[choice])}"
                )
