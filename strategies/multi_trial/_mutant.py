"""Mutation for evolution and BANANAS: it has a result in every space."""

from __future__ import annotations

import random

from searchspace import Genotype, InputError, SearchSpace

__all__ = ["mutant"]


def mutant(space: SearchSpace, genotype: Genotype, rng: random.Random) -> Genotype:
    """Returns a genotype with one choice changed, or more if constraints demand it (see `SearchSpace.mutate`).

    If there is no mutant, a genotype is drawn; in a space of one genotype this is the same one again.
    """
    try:
        return space.mutate(genotype, rng)
    except InputError:
        return space.sample(rng)
