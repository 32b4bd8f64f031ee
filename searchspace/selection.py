"""Selections, which a strategy passes to a supernet for one step.

A selection says which options of each choice are *active*, and gives each of them a weight. Inactive options are not
computed at all, so a selection with one active option per choice costs as much as the derived network. Every strategy
makes selections and every supernet takes them, so every strategy runs on every supernet.
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
    """An active option. A ``weight`` of None stands for the constant 1, so there is nothing to multiply."""

    option: str
    weight: Tensor | None


@dataclass(frozen=True)
class Selection:
    """The active options and their weights, for every choice of a space.

    Attributes:
        options: Choice -> its active options, at least one, in the space's order. Weights are scalar tensors on any
            device. They carry gradients if the strategy learns through them.
    """

    options: Mapping[str, tuple[Weighted, ...]]

    def __getitem__(self, choice: str) -> tuple[Weighted, ...]:
        return self.options[choice]

    def active(self, choice: str) -> tuple[str, ...]:
        """Returns the names of the active options of a choice."""
        return tuple(option for option, _ in self.options[choice])

    @classmethod
    def of(cls, genotype: Genotype) -> Selection:
        """Returns the selection of a genotype: only its options are active, with constant weight 1."""
        return cls({choice: (Weighted(option, None),) for choice, option in genotype.items()})

    def mix(self, choice: str, outputs: Mapping[str, Tensor]) -> Tensor | None:
        """Returns the weighted sum of the outputs of a choice's active options.

        Args:
            choice: Name of the choice.
            outputs: Option -> its output, all of one shape. An option without output (``none``) is left out.

        Returns:
            A tensor with the dtype and device of the outputs; None if no active option has an output.
        """
        mixed: Tensor | None = None
        for option, weight in self.options[choice]:
            if option in outputs:
                x = outputs[option]
                term = x if weight is None else x * weight.to(x.device, x.dtype)
                mixed = term if mixed is None else mixed + term
        return mixed

    def detach(self) -> Selection:
        """Returns the same selection with weights that carry no gradients."""
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
