"""Backbones whose stages are shared by some tasks: the encoder of BMTAS (Bruggemann et al., BMVC 2020)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from torch import Tensor, nn

from atrc.backbones._base import Backbone, check_image
from searchspace import Genotype, InputError, Selection
from searchspace.bmtas import HEAD, edge

__all__ = ["BranchedBackbone"]


class TreeSpace(Protocol):
    """A space of trees, as `searchspace.bmtas` defines its choices.

    Attributes:
        tasks: Names of the tasks.
        stages: L, those of the backbone.
    """

    tasks: tuple[str, ...]
    stages: int

    def path(self, choices: Mapping[str, str], task: str) -> tuple[str, ...]:
        """The nodes that a task runs through, one a stage, first stage first."""
        ...


class BranchedBackbone(nn.Module):
    """A tree of a backbone's stages or, without a genotype, all nodes from which trees can be made.

    Args:
        make_backbone: Function that returns a new backbone with `cuts`; it is called once per task that has nodes.
        space: The branching space.
        genotype: The tree. Only nodes that a head reaches are built.

    Attributes:
        channels: Channels of the maps, see `Backbone`.
        strides: Strides of the maps, see `Backbone`.
        grid: Function from image size to grid, see `Backbone.grid`.

    Raises:
        InputError: The backbone has no `cuts`, or their number is not that of the space's stages.
    """

    def __init__(
        self, make_backbone: Callable[[], nn.Module], space: TreeSpace, genotype: Genotype | None = None
    ) -> None:
        super().__init__()
        self.space = space
        everything = {(stage, task) for stage in range(1, space.stages + 1) for task in space.tasks}
        built = everything if genotype is None else _reached(space, genotype)
        self.nodes = nn.ModuleDict()
        for task in space.tasks:
            own = [stage for stage in range(1, space.stages + 1) if (stage, task) in built]
            if own:
                backbone = make_backbone()
                if not isinstance(backbone, Backbone):
                    raise InputError("a branched backbone is not branched again: leave backbone.branches out")
                stages = backbone.cut()
                if len(stages) != space.stages:
                    raise InputError(
                        f"the space has {space.stages} stages, but the backbone {backbone.name!r} has {len(stages)}: "
                        f"set space.stages to {len(stages)}"
                    )
                self.channels, self.strides, self.grid = backbone.channels, backbone.strides, backbone.grid
                self.nodes[task] = nn.ModuleDict({f"stage{stage}": stages[stage - 1] for stage in own})
        self._tree = None if genotype is None else Selection.of(genotype)

    def forward(self, image: Tensor, selection: Selection | None = None) -> dict[str, list[Tensor]]:
        """Returns task -> its maps, see `Backbone.forward`.

        Args:
            image: ``(B, 3, H, W)``.
            selection: Active parents, if there is no genotype. The outputs of several parents are summed with their
                weights; nodes that no head reads are not computed.
        """
        check_image(image)
        chosen = selection or self._tree
        assert chosen is not None, "a supernet runs under a selection"
        known: dict[tuple[int, str], list[Tensor]] = {}

        def maps(stage: int, task: str) -> list[Tensor]:
            """Returns the output of a node."""
            if (stage, task) not in known:
                inputs = [image] if stage == 1 else read(stage - 1, chosen, edge(stage, task))
                known[stage, task] = self.nodes[task][f"stage{stage}"](inputs)  # type: ignore[index]
            return known[stage, task]

        def read(stage: int, chosen: Selection, choice: str) -> list[Tensor]:
            """Returns the input that a choice takes from the nodes of a stage."""
            nodes = chosen.active(choice)
            scales = zip(*(maps(stage, node) for node in nodes), strict=True)
            mixed = (chosen.mix(choice, dict(zip(nodes, scale, strict=True))) for scale in scales)
            return [x for x in mixed if x is not None]

        return {task: read(self.space.stages, chosen, edge(HEAD, task)) for task in self.space.tasks}


def _reached(space: TreeSpace, choices: Mapping[str, str]) -> set[tuple[int, str]]:
    return {(stage, node) for task in space.tasks for stage, node in enumerate(space.path(choices, task), 1)}
