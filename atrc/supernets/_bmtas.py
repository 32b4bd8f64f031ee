"""The supernet of the branching space. It has every stage of the backbone once for each task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from atrc.backbones import BranchedBackbone
from atrc.costs import Measure
from atrc.distillation import NoDistillation
from atrc.networks import MultiTaskNetwork, Parts, Predictions
from atrc.supernets._base import SUPERNETS, MultiTaskSupernet
from searchspace import BMTASSpace, Genotype, SearchSpace, Selection

__all__ = ["BranchingSupernet", "TreeCosts"]


@SUPERNETS.register("bmtas")
class BranchingSupernet(MultiTaskSupernet):
    """A supernet that searches which tasks share which stages of the backbone. There is no distillation.

    Args:
        parts: The parts that networks are built from. The supernet builds one encoder per task; a derived network
            builds one per task that has nodes of its own.
        space: The branching space of their tasks, with the backbone's stages.

    Raises:
        InputError: The backbone cannot be cut into the space's stages.
    """

    space_type = BMTASSpace

    def __init__(self, parts: Parts, space: BMTASSpace) -> None:
        super().__init__(parts, space, encoder=BranchedBackbone(parts.encoder, space))

    def forward(self, image: Tensor, selection: Selection, valid: Tensor | None = None) -> Predictions:
        encoded = self.encode(image, selection)
        return self.finish(encoded.features, encoded)

    @classmethod
    def network(cls, parts: Parts, genotype: Genotype) -> MultiTaskNetwork:
        space = BMTASSpace(**genotype.parameters)
        tree = space.validate(genotype)
        branched = replace(parts, encoder=lambda: BranchedBackbone(parts.encoder, space, tree))
        return branched.network(NoDistillation)

    @classmethod
    def costs(
        cls, parts: Parts, space: SearchSpace, measure: Measure, size: tuple[int, int], device: torch.device
    ) -> TreeCosts:
        """Returns the cost of a node of every stage, for one image. Heads are left out: they cost the same always."""
        assert isinstance(space, BMTASSpace)
        device = measure.device(device)
        with device:
            encoder: Any = parts.encoder()
        stages = encoder.cut()
        maps = [torch.zeros(1, 3, *size, device=device)]
        costs = []
        for stage in stages:
            costs.append(measure(stage.eval(), [maps]))
            with torch.no_grad():
                maps = stage(maps)
        return TreeCosts(space, costs, unit=measure.unit)


@dataclass(frozen=True)
class TreeCosts:
    """A cost per stage (a `CostModel`). A genotype costs ``base`` plus the sum over its nodes.

    Attributes:
        space: The branching space.
        stages: Cost of one node of every stage.
        base: Cost that all genotypes share.
        unit: Name of the unit, for labels.
    """

    space: BMTASSpace
    stages: Sequence[float]
    base: float = 0.0
    unit: str = ""

    def of(self, choices: Mapping[str, str]) -> float:
        """Returns the cost of a genotype."""
        nodes = zip(self.stages, self.space.tree(choices), strict=True)
        return self.base + sum(cost * len(groups) for cost, groups in nodes)

    def share(self, space: SearchSpace, choices: Mapping[str, str]) -> float:
        """Returns the relative cost of a genotype: 0 for one branch for all tasks, 1 for separate backbones."""
        return (self.of(choices) - self.base - self._cheapest) / self._span if self._span else 0.0

    @property
    def _cheapest(self) -> float:
        return sum(self.stages)

    @property
    def _span(self) -> float:
        return (len(self.space.tasks) - 1) * self._cheapest

    def expected_share(self, space: SearchSpace, probabilities: Tensor) -> Tensor:
        """Returns the exact expected share, from probabilities of *sets* of reached nodes, from heads to first stage.

        A sum over choices would be wrong: the reached nodes of a stage depend on the reached nodes of later stages.

        Args:
            space: The branching space.
            probabilities: ``(J, N)``: the parents of stage 2, of stage 3, ..., and of the heads.
        """
        if not self._span:
            return probabilities.new_zeros(())
        N = len(self.space.tasks)
        size = torch.arange(2**N, device=probabilities.device)
        has = (size[:, None] >> torch.arange(N, device=size.device)) & 1  # (2^N, N): the nodes of every set
        with_node = size[:, None] | (1 << torch.arange(N, device=size.device))  # (2^N, N): a set and one more node
        *parents, heads = probabilities.unflatten(0, (-1, N))  # (N, N) each: of a reader, over nodes
        # All heads read, so the first set of readers has all of them.
        reached = _picked(heads, has[-1:], with_node)[0]  # (2^N,)
        nodes = has.sum(1).to(probabilities.dtype)
        expected = self.stages[-1] * (reached * nodes).sum()
        for rows, cost in zip(reversed(parents), reversed(self.stages[:-1]), strict=True):
            reached = reached @ _picked(rows, has, with_node)
            expected = expected + cost * (reached * nodes).sum()
        return (expected - self._cheapest) / self._span


def _picked(rows: Tensor, readers: Tensor, with_node: Tensor) -> Tensor:
    """Returns ``(S, 2^N)``: for S sets of readers, the probability of every set of nodes that they pick together.

    Args:
        rows: ``(N, N)``: a reader's probabilities over nodes.
        readers: ``(S, N)``: which readers are in a set.
        with_node: ``(2^N, N)``: the index of a set of nodes with one more node.
    """
    sets, N = with_node.shape
    found = rows.new_zeros(len(readers), sets)
    found[:, 0] = 1.0
    for reader in range(N):
        picks = rows.new_zeros(len(readers), sets)
        for node in range(N):
            picks = picks.index_add(1, with_node[:, node], found * rows[reader, node])
        found = torch.where(readers[:, reader, None] > 0, picks, found)
    return found
