"""The view of the branching space: which tasks share which stages of a backbone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.columns import Columns
from rich.console import RenderableType
from rich.text import Text
from rich.tree import Tree

from analysis.figures import Words, draw_trees, task_colours
from analysis.figures.style import MANY, TASKS
from analysis.load import Runs
from analysis.output import Caption, Part
from analysis.spaces import tree_space
from analysis.tables import DASH
from analysis.trees import same_trees, stage_costs, tree_agreement, trees
from analysis.views._base import VIEWS, SpaceView
from searchspace import BMTASSpace, Genotype, SearchSpace

__all__ = ["BMTASView"]


def _node(choice: str) -> str:
    """The title of a choice: ``stage2:depth`` is the node of depth at stage 2."""
    reader, _, task = choice.partition(":")
    return f"{reader.replace('stage', 'stage ')}, {task.replace('_', ' ')}"


@VIEWS.register("bmtas")
class BMTASView(SpaceView):
    """Shows trees, their costs, and how far they are alike.

    Options are names of nodes, so their shares mean nothing.
    """

    space_type: ClassVar[type[SearchSpace]] = BMTASSpace
    words: ClassVar[Words] = Words(
        "choice", "Node", _node, task_colours, TASKS, legend="Node that is read, by its task"
    )
    captions: ClassVar[Mapping[str, Caption]] = {
        "trees": Caption(
            "Which tasks share which stages of the backbone",
            "What every search found, from the image to the heads. A box is one copy of a stage, with a tile for "
            "every task that runs through it. The title compares the number of boxes and their multiply-adds with "
            "separate backbones, which have a box for every task at every stage. Two searches are alike in a pair of "
            "tasks and a stage if the pair shares the stage in both trees, or in neither.",
        ),
    }
    shares: ClassVar[bool] = False

    def analyse(self, part: Part, found: Mapping[str, Genotype]) -> None:
        """Writes which tasks share which stages, and how far searches agree on it."""
        search = part.runs.directories[part.runs.searches(part.experiment)["path"].iloc[0]]
        table = trees(found, stage_costs(search.config, tree_space(list(found.values()))))
        alike = tree_agreement(list(found.values())) if len(found) > 1 else None
        if alike is not None:
            part.table("trees_agreement", alike.table)
            part.table("trees_overall", alike.overall.assign(runs=alike.runs))
        part.figure("trees", table, lambda: draw_trees(table, None if alike is None else alike.mean))

    def agreement(self, genotypes: Sequence[Genotype]) -> float:
        """The mean share, in 0..1, of task pairs and stages that are alike in two trees."""
        return tree_agreement(genotypes).mean

    def on_screen(self, runs: Runs, experiment: str) -> list[RenderableType]:
        """Shows every different tree, with the searches that found it."""
        found = runs.found(experiment)
        space = tree_space(list(found.values()))
        parts: list[RenderableType] = [Text("\nTrees (which tasks share which stages of the backbone)", style="bold")]
        grown = same_trees(found)
        panels = [_tree(names, space.tree(found[names[0]])) for names in grown[:MANY]]
        parts.append(Columns(panels, padding=(0, 3)))
        if len(grown) > MANY:
            parts.append(Text(f"and {len(grown) - MANY} more, which trees.csv of the analysis holds"))
        if len(found) > 1:
            result = tree_agreement(list(found.values()))
            share = DASH if math.isnan(result.mean) else f"{100 * result.mean:.0f} %"
            different = "one tree" if result.distinct == 1 else f"{result.distinct} different trees"
            parts.append(
                Text(
                    f"Agreement of {result.runs} searches, {different}: {share} of task pairs and stages are alike "
                    "in two of them (shared in both trees, or in neither)"
                )
            )
        return parts

    def on_page(self, runs: Runs, experiment: str) -> None:
        """Nothing: the figure shows the trees."""

    def notes(self, runs: Runs, experiment: str) -> list[str]:
        """The note that the analyses of context types are left out."""
        return [
            f"{experiment}: its searches found trees, which have no context types, so shares, agreement, importance "
            "and attention of blocks are left out"
        ]


def _tree(runs: Sequence[str], stages: Sequence[Sequence[Sequence[str]]]) -> Tree:
    nodes = f"{sum(map(len, stages))} of {len(stages) * sum(map(len, stages[0]))} nodes"
    drawn = Tree(Text(f"{', '.join(runs)}: {nodes}"), guide_style="dim")
    _grow(drawn, stages, 0, stages[0])
    return drawn


def _grow(tree: Tree, stages: Sequence[Sequence[Sequence[str]]], stage: int, groups: Sequence[Sequence[str]]) -> None:
    """Adds a line for each group of tasks, over all stages that they share, and below it what they part into."""
    for group in groups:
        until = stage
        while until + 1 < len(stages) and group in stages[until + 1]:
            until += 1
        numbers = f"stage {stage + 1}" if until == stage else f"stages {stage + 1}-{until + 1}"
        line = tree.add(Text(f"{numbers}: {', '.join(task.replace('_', ' ') for task in group)}"))
        if until + 1 < len(stages):
            _grow(line, stages, until + 1, [part for part in stages[until + 1] if set(part) <= set(group)])
