"""The space that genotypes have in common: analyses of what was found differ by its kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from analysis.load import Runs
from searchspace import Genotype, InputError, SearchSpace, build_space

__all__ = ["common_space", "space_found", "space_of_kind"]

S = TypeVar("S", bound=SearchSpace)


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


def space_of_kind(genotypes: Sequence[Genotype], name: str, kind: type[S]) -> S:
    """The space that the genotypes come from, which must be of one kind, registered as ``name``.

    Raises:
        InputError: Another kind of space; see also `common_space`.
    """
    space = common_space(genotypes)
    if not isinstance(space, kind):
        raise InputError(f"this analysis reads genotypes of the {name} space, got one of {space.name!r}")
    return space


def space_found(runs: Runs, experiment: str) -> SearchSpace | None:
    """The space of what an experiment's searches found; None where they found nothing, or genotypes that do not go
    together."""
    try:
        return common_space(list(runs.found(experiment).values()))
    except InputError:  # see `common_space`
        return None
