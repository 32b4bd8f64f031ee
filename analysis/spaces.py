"""The space that genotypes have in common, and the two kinds of spaces that have analyses of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

from analysis.load import Runs
from searchspace import Genotype, InputError, SearchSpace, build_space

__all__ = ["BlockSpace", "TreeSpace", "common_space", "context_space", "options_of", "space_found", "tree_space"]


@runtime_checkable
class BlockSpace(Protocol):
    """A space with one choice, `searchspace.block`, for every pair of tasks, as ``cp`` and spaces derived from it.

    Attributes:
        tasks: The N tasks.
        contexts: The context types that blocks choose from.
    """

    tasks: tuple[str, ...]
    contexts: tuple[str, ...]

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Every (target, source) pair, row by row."""

    def __len__(self) -> int:
        """Number of blocks."""


@runtime_checkable
class TreeSpace(Protocol):
    """A space whose genotypes are trees of tasks over the stages of a backbone, as ``bmtas``.

    Attributes:
        tasks: The N tasks.
        stages: Number of stages.
    """

    tasks: tuple[str, ...]
    stages: int

    def path(self, choices: Mapping[str, str], task: str) -> tuple[str, ...]:
        """The nodes that a task runs through, one a stage."""

    def tree(self, choices: Mapping[str, str]) -> tuple[tuple[tuple[str, ...], ...], ...]:
        """Stage by stage the groups of tasks that share a node."""

    def canonical(self, choices: Mapping[str, str]) -> Genotype:
        """The one form of all genotypes that are the same tree."""


def common_space(genotypes: Sequence[Genotype]) -> SearchSpace:
    """The space that the genotypes come from, of any kind.

    Raises:
        InputError: None given, different spaces, or one that is not registered.
    """
    if not genotypes:
        raise InputError("no genotype given, so there is nothing to analyse")
    first = genotypes[0]
    for genotype in genotypes:
        if genotype.space != first.space or dict(genotype.parameters) != dict(first.parameters):
            raise InputError(
                "genotypes of different spaces cannot be analysed together: "
                f"{first.space} {dict(first.parameters)} and {genotype.space} {dict(genotype.parameters)}"
            )
    return build_space(first.space, **first.parameters)


def context_space(genotypes: Sequence[Genotype]) -> BlockSpace:
    """The space of context-pooling blocks that the genotypes come from.

    Raises:
        InputError: A space without such blocks; see also `common_space`.
    """
    space = common_space(genotypes)
    if not isinstance(space, BlockSpace):
        raise _of_another_kind("cp", space)
    return space


def tree_space(genotypes: Sequence[Genotype]) -> TreeSpace:
    """The branching space that the genotypes come from.

    Raises:
        InputError: A space of something else than trees; see also `common_space`.
    """
    space = common_space(genotypes)
    if not isinstance(space, TreeSpace):
        raise _of_another_kind("bmtas", space)
    return space


def _of_another_kind(name: str, space: SearchSpace) -> InputError:
    return InputError(f"this analysis reads genotypes of the {name} space, got one of {space.name!r}")


def options_of(space: SearchSpace) -> list[str]:
    """All options of a space, each once, in the order of its choices; of a `BlockSpace` in that of its contexts."""
    if isinstance(space, BlockSpace):
        return list(space.contexts)
    return list(dict.fromkeys(option for options in space.values() for option in options))


def space_found(runs: Runs, experiment: str) -> SearchSpace | None:
    """The space of what an experiment's searches found.

    Returns:
        None where they found nothing, or genotypes that have no space in common.
    """
    try:
        return common_space(list(runs.found(experiment).values()))
    except InputError:  # see `common_space`
        return None
