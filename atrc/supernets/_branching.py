"""The supernet of the branching space: every stage of the backbone once for each task."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from atrc.backbones import Backbone, BranchedBackbone
from atrc.config import Model
from atrc.distillation import NoDistillation
from atrc.measures import Measure
from atrc.network import SUPERNETS, Decoder, MultiTaskNetwork, Predictions, SearchNetwork
from atrc.supernets._tree_costs import TreeCosts
from atrc.tasks import Task
from searchspace import BMTASSpace, Genotype, Selection

__all__ = ["BranchingSearchNetwork"]


@SUPERNETS.register("bmtas")
class BranchingSearchNetwork(SearchNetwork):
    """Which tasks share which stages of the backbone is searched; there is no distillation.

    Args:
        make_backbone: Gives a new backbone that names its stages; called once here for every task, and for every
            derived network once for every task that has nodes of its own.
        tasks: Task name -> task.
        space: The branching space of these tasks, with the backbone's stages.
        decoder: Neck and heads.
        model: Unused: there are no contexts.

    Raises:
        InputError: The backbone cannot be cut into the space's stages.
    """

    space_type = BMTASSpace

    def __init__(
        self,
        make_backbone: Callable[[], Backbone],
        tasks: Mapping[str, Task],
        space: BMTASSpace,
        decoder: Decoder | None = None,
        model: Model | None = None,
    ) -> None:
        self._decoder = decoder or Decoder()
        super().__init__(BranchedBackbone(make_backbone, space), tasks, frozenset(), self._decoder)
        self._make_backbone = make_backbone
        self.space = space

    def forward(self, image: Tensor, selection: Selection, valid: Tensor | None = None) -> Predictions:
        encoded = self.encode(image, selection)
        return self.finish(encoded.features, encoded)

    def derive(self, genotype: Genotype) -> MultiTaskNetwork:
        return self.stand_alone(self._make_backbone, self.tasks, genotype, self._decoder, Model())

    def costs(self, measure: Measure, size: tuple[int, int], device: torch.device) -> TreeCosts:
        """Of a node of every stage, for one image; heads cost every genotype the same, and count nothing."""
        device = measure.device(device)
        with device:
            stages = self._make_backbone().cut()
        maps = [torch.zeros(1, 3, *size, device=device)]
        costs = []
        for stage in stages:
            costs.append(measure(stage.eval(), [maps]))
            with torch.no_grad():
                maps = stage(maps)
        return TreeCosts(self.space, costs, unit=measure.unit)

    @staticmethod
    def stand_alone(
        make_backbone: Callable[[], Backbone],
        tasks: Mapping[str, Task],
        genotype: Genotype,
        decoder: Decoder,
        model: Model,
    ) -> MultiTaskNetwork:
        space = BMTASSpace(**genotype.parameters)
        backbone = BranchedBackbone(make_backbone, space, space.validate(genotype))
        return MultiTaskNetwork(backbone, tasks, NoDistillation(decoder.channels(backbone, tasks)), decoder)
