"""The space that genotypes have in common: analyses of what was found differ by its kind."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.load import Runs
from searchspace import Genotype, InputError, SearchSpace, build_space

__all__ = ["common_space", "space_found"]


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


def space_found(runs: Runs, experiment: str) -> SearchSpace | None:
    """The space of what an experiment's searches found; None where they found nothing, or genotypes that do not go
    together."""
    try:
        return common_space(list(runs.found(experiment).values()))
    except InputError:  # see `common_space`
        return None
