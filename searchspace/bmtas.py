"""The branching space of BMTAS: which tasks share which stages of a backbone.

Bruggemann et al., "Automated Search for Resource-Efficient Branched Multi-Task Networks", BMVC 2020. Each of the L
stages of a backbone exists once for each of N tasks. So a stage has N nodes, which are named after the tasks. Every
node from the second stage on picks the node of the previous stage that it reads. The head of every task picks a node
of the last stage. The nodes that the heads reach always form a tree: two tasks share their stages up to some stage,
and none after it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from searchspace.errors import InputError
from searchspace.genotype import Genotype
from searchspace.space import SPACES, SearchSpace

__all__ = ["BMTASSpace", "edge", "tree_space"]

HEAD = "head"


def edge(stage: int | str, task: str) -> str:
    """Returns the name of the choice that picks the node which a task's node at ``stage`` (or its head) reads."""
    return f"{HEAD}:{task}" if stage == HEAD else f"stage{stage}:{task}"


@SPACES.register("bmtas")
class BMTASSpace(SearchSpace):
    """All ways to pick parents: L x N choices of N options.

    Several genotypes describe the same tree, because nodes that no head reaches may pick anything and nodes may swap
    names. `canonical` returns the same genotype for all of them. Genotypes that are drawn uniformly are not uniform
    over trees: in most of them the tasks part early.

    Args:
        tasks: Names of the tasks, all different, at least one.
        stages: L, the number of stages of the backbone, at least one.

    Example:
        >>> space = BMTASSpace(["semseg", "depth"], stages=2)
        >>> space["head:depth"]  # reads a node of stage 2
        ('semseg', 'depth')
    """

    def __init__(self, tasks: Sequence[str], stages: int = 4) -> None:
        if isinstance(tasks, str) or not all(isinstance(task, str) for task in tasks) or not tasks:
            raise InputError(f"tasks of the bmtas space must be a list of names, got {tasks!r}")
        if len(set(tasks)) != len(tasks):
            raise InputError(f"the bmtas space got a task twice: {', '.join(tasks)}")
        if not isinstance(stages, int) or stages < 1:
            raise InputError(f"stages of the bmtas space must be a whole number >= 1, got {stages!r}")
        self.tasks = tuple(tasks)
        self.stages = stages
        readers = [*range(2, stages + 1), HEAD]
        choices = {edge(reader, task): self.tasks for reader in readers for task in self.tasks}
        super().__init__("bmtas", choices, {"tasks": list(self.tasks), "stages": stages})

    def path(self, choices: Mapping[str, str], task: str) -> tuple[str, ...]:
        """Returns the nodes that a task runs through: one per stage, first stage first."""
        nodes = [choices[edge(HEAD, task)]]
        for stage in range(self.stages, 1, -1):
            nodes.append(choices[edge(stage, nodes[-1])])
        return tuple(reversed(nodes))

    def tree(self, choices: Mapping[str, str]) -> tuple[tuple[tuple[str, ...], ...], ...]:
        """Returns for every stage the groups of tasks that share a node, in the order of the tasks.

        Example:
            >>> space = BMTASSpace(["a", "b", "c"], stages=2)
            >>> space.tree(space.from_tree([[["a", "b", "c"]], [["a", "c"], ["b"]]]))
            ((('a', 'b', 'c'),), (('a', 'c'), ('b',)))
        """
        paths = {task: self.path(choices, task) for task in self.tasks}
        grouped = []
        for stage in range(self.stages):
            groups: dict[str, list[str]] = {}
            for task, nodes in paths.items():
                groups.setdefault(nodes[stage], []).append(task)
            grouped.append(tuple(map(tuple, groups.values())))
        return tuple(grouped)

    def from_tree(self, tree: Sequence[Sequence[Sequence[str]]]) -> Genotype:
        """Returns the canonical genotype of a tree.

        In it a node has the name of its first task. A node that no head reaches reads the node of its own name.

        Args:
            tree: A tree as `tree` returns it. Tasks that have parted must not meet again.

        Raises:
            InputError: ``tree`` is not a tree of these tasks and stages.
        """
        if len(tree) != self.stages:
            raise InputError(f"a tree of this space has {self.stages} stages, got {len(tree)}")
        choices = {choice: choice.partition(":")[2] for choice in self}
        for stage, groups in enumerate(tree, 1):
            if sorted(task for group in groups for task in group) != sorted(self.tasks) or not all(groups):
                raise InputError(f"stage {stage} of a tree must hold every task once, got {list(groups)}")
            above = tree[stage] if stage < self.stages else [[task] for task in self.tasks]
            reader = stage + 1 if stage < self.stages else HEAD
            for group in above:
                parents = [below for below in groups if set(group) & set(below)]
                if len(parents) != 1:
                    raise InputError(
                        f"tasks {', '.join(group)} are apart at stage {stage}, but share a node after it"
                    )
                choices[edge(reader, self._first(group))] = self._first(parents[0])
        return self.genotype(choices)

    def _first(self, group: Sequence[str]) -> str:
        return min(group, key=self.tasks.index)

    def canonical(self, choices: Mapping[str, str]) -> Genotype:
        """Returns the genotype that represents all genotypes of the same tree."""
        return self.from_tree(self.tree(choices))

    def named(self) -> Mapping[str, Genotype]:
        """Returns ``shared`` and ``split``, the two extremes of the space."""
        return {"shared": self.shared(), "split": self.split()}

    def shared(self) -> Genotype:
        """Returns one branch for all tasks: the encoder of the multi-task baseline."""
        return self.from_tree([[self.tasks]] * self.stages)

    def split(self) -> Genotype:
        """Returns a separate branch for every task from the image on: the encoders of the single-task baselines."""
        return self.from_tree([[[task] for task in self.tasks]] * self.stages)


def tree_space(genotype: Genotype, tasks: Collection[str]) -> BMTASSpace | None:
    """The branching space of a genotype; None where that is another space, or one of other tasks."""
    space = SPACES.create(genotype.space, genotype.parameters)
    return space if isinstance(space, BMTASSpace) and set(space.tasks) == set(tasks) else None
