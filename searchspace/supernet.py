"""The supernet protocol: the minimal interface of a network that a one-shot strategy needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from searchspace.genotype import Genotype
from searchspace.selection import Selection
from searchspace.space import SearchSpace

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Supernet"]

BatchT = TypeVar("BatchT", contravariant=True)


@runtime_checkable
class Supernet(Protocol[BatchT]):
    """A module that runs under any `Selection` of its space, and derives stand-alone modules from genotypes."""

    @property
    def space(self) -> SearchSpace:
        """Space whose selections this network takes."""
        ...

    def loss(self, batch: BatchT, selection: Selection) -> Tensor:
        """Returns the training loss of one batch: a scalar, differentiable in the selection's weights."""
        ...

    def derive(self, genotype: Genotype) -> Any:
        """Returns a freshly initialised stand-alone module that holds only the parts that the genotype chose."""
        ...
