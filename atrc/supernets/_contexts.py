"""The supernet of the cp space: a network whose distillation is the ATRC supergraph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from atrc.backbones import Backbone, BranchedBackbone
from atrc.config import Model
from atrc.distillation import ATRC, Supergraph
from atrc.measures import Measure
from atrc.network import SUPERNETS, Decoder, MultiTaskNetwork, Predictions, SearchNetwork, on_grid
from atrc.supernets._context_costs import context_costs
from atrc.tasks import Task
from searchspace import Costs, CPSpace, Genotype, Selection

__all__ = ["ContextSearchNetwork", "atrc_network"]


@SUPERNETS.register("cp")
class ContextSearchNetwork(SearchNetwork):
    """A context type for every pair of tasks is searched.

    Args:
        make_backbone: Gives a new backbone; called once here and once for every derived network.
        tasks: Task name -> task.
        space: The cp space of these tasks.
        decoder: Neck and heads.
        model: Options of the contexts. There is no dropout in search.
    """

    space_type = CPSpace

    def __init__(
        self,
        make_backbone: Callable[[], Backbone | BranchedBackbone],
        tasks: Mapping[str, Task],
        space: CPSpace,
        decoder: Decoder | None = None,
        model: Model | None = None,
    ) -> None:
        self._plan = decoder or Decoder(), model or Model()
        super().__init__(make_backbone(), tasks, frozenset(tasks), self._plan[0])
        self._make_backbone = make_backbone
        self.space = space
        options = self._plan[1].of_contexts
        options.pop("dropout")
        self.supergraph = Supergraph(self.channels, space, **options)

    def forward(self, image: Tensor, selection: Selection, valid: Tensor | None = None) -> Predictions:
        encoded = self.encode(image)
        features, regions, _ = encoded
        return self.finish(self.supergraph(features, regions, selection, on_grid(valid, features)), encoded)

    def costs(self, measure: Measure, size: tuple[int, int], device: torch.device) -> Costs:
        """Of the contexts of one image."""
        regions = {name: task.regions for name, task in self.tasks.items()}
        options = self._plan[1].of_contexts
        grid = self.backbone.grid(size)
        return context_costs(self.space, self.channels, regions, grid, options, measure, device)

    def derive(self, genotype: Genotype) -> MultiTaskNetwork:
        return self.stand_alone(self._make_backbone, self.tasks, genotype, *self._plan)

    @staticmethod
    def stand_alone(
        make_backbone: Callable[[], Backbone | BranchedBackbone],
        tasks: Mapping[str, Task],
        genotype: Genotype,
        decoder: Decoder,
        model: Model,
    ) -> MultiTaskNetwork:
        return atrc_network(make_backbone(), tasks, genotype, decoder, **model.of_contexts)


def atrc_network(
    backbone: Backbone | BranchedBackbone,
    tasks: Mapping[str, Task],
    genotype: Genotype,
    decoder: Decoder | None = None,
    **options: Any,
) -> MultiTaskNetwork:
    """A stand-alone network with the genotype's contexts; ``options`` are those of `ATRC`."""
    decoder = decoder or Decoder()
    distillation = ATRC(decoder.channels(backbone, tasks), genotype, **options)
    return MultiTaskNetwork(backbone, tasks, distillation, decoder)
