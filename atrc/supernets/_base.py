"""Supernets of multi-task networks, one class for every kind of space."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from atrc.costs import Measure
from atrc.data import Batch
from atrc.networks import Encoder, MultiTaskNetwork, Parts, Predictions, Trunk, multi_task_loss
from atrc.supernets._option_costs import option_costs
from searchspace import CostModel, Genotype, InputError, Registry, SearchSpace, Selection, best_fit, build_space

__all__ = ["SUPERNETS", "FixedSelection", "MultiTaskSupernet", "supernet_of"]


class MultiTaskSupernet(Trunk, ABC):
    """A network that runs under any `Selection` of its space.

    A subclass names the kind of space in `space_type`, adds modules for the options, and defines `forward`. The
    defaults of `network` and `costs` work for any space. Override them if networks are built in another way, or if
    their costs are known exactly.

    Args:
        parts: The parts that networks are built from.
        space: The space.
        encoder: The encoder, which gives maps for all tasks; by default a new one of the parts.
        region_tasks: The tasks that get an auxiliary head.

    Attributes:
        space_type: The class of spaces that the supernet is for.
        space: The space.
    """

    space_type: ClassVar[type[SearchSpace]]

    def __init__(
        self,
        parts: Parts,
        space: SearchSpace,
        *,
        encoder: Encoder | None = None,
        region_tasks: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(encoder or parts.encoder(), parts.tasks, region_tasks, parts.decoder)
        self.space: Any = space
        self._built_from = parts

    @abstractmethod
    def forward(self, image: Tensor, selection: Selection, valid: Tensor | None = None) -> Predictions:
        """Predicts images under a selection.

        Args:
            image: Images ``(B, 3, H, W)``.
            selection: A selection of the space.
            valid: ``(B, 1, H, W)`` bool, False on padding; None: all pixels are image.
        """

    def loss(self, batch: Batch, selection: Selection) -> Tensor:
        """Returns the total training loss of a batch under a selection, a scalar."""
        return multi_task_loss(self(batch.image, selection, batch.mask), batch, self.tasks)[0]

    def derive(self, genotype: Genotype) -> nn.Module:
        """Returns a newly initialised network of a genotype; see `network`."""
        return self.network(self._built_from, genotype)

    @classmethod
    def network(cls, parts: Parts, genotype: Genotype) -> MultiTaskNetwork | FixedSelection:
        """Returns a newly initialised stand-alone network of a genotype.

        The default is the supernet of a space that has the genotype's options alone (`SearchSpace.only`).
        """
        space = build_space(genotype.space, **genotype.parameters)
        return FixedSelection(cls(parts, space.only(genotype)), genotype)

    @classmethod
    def costs(
        cls, parts: Parts, space: SearchSpace, measure: Measure, size: tuple[int, int], device: torch.device
    ) -> CostModel:
        """Returns a cost model of genotypes.

        In the default, the cost of an option is what it adds to the network of one genotype; see `option_costs`.

        Args:
            parts: The parts that networks are built from.
            space: The space.
            measure: A measure of cost.
            size: (H, W) of an image.
            device: The device for measures that run modules, such as latency.
        """
        return option_costs(space, lambda genotype: cls.network(parts, genotype), measure, size, device)


class FixedSelection(nn.Module):
    """A supernet at one genotype: the stand-alone network of spaces without a network class of their own.

    Args:
        supernet: A supernet with the modules of the genotype alone.
        genotype: The genotype.
    """

    def __init__(self, supernet: MultiTaskSupernet, genotype: Genotype) -> None:
        super().__init__()
        self.supernet = supernet
        self.selection = Selection.of(genotype)

    @property
    def tasks(self) -> dict[str, Any]:
        """Task name -> task."""
        return self.supernet.tasks

    @property
    def backbone(self) -> Encoder:
        """The backbone, which gives maps for all tasks."""
        return self.supernet.backbone

    def parts(self) -> dict[str, list[nn.Module]]:
        """Returns the parts of the supernet."""
        return self.supernet.parts()

    def forward(self, image: Tensor, valid: Tensor | None = None) -> Predictions:
        """Predicts images ``(B, 3, H, W)``; ``valid`` ``(B, 1, H, W)`` bool is False on padding."""
        out: Predictions = self.supernet(image, self.selection, valid)
        return out


SUPERNETS: Registry[type[MultiTaskSupernet]] = Registry("supernet", "atrc.supernets")
"""The supernets, one for every kind of space."""


def supernet_of(space: SearchSpace) -> type[MultiTaskSupernet]:
    """Returns the supernet that is registered for a space; see `searchspace.best_fit`.

    Raises:
        InputError: No supernet is registered for the space.
    """
    found = best_fit(SUPERNETS, space)
    if found is None:
        kinds = ", ".join(sorted(SUPERNETS))
        raise InputError(f"no supernet is registered for the space {space.name!r}; spaces with a supernet: {kinds}")
    return found
