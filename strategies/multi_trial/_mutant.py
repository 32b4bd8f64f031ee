"""Mutation as evolution and BANANAS use it: it finds something to propose in every space."""

from __future__ import annotations

import random

from searchspace import Genotype, InputError, SearchSpace

__all__ = ["mutant"]


def mutant(space: SearchSpace, genotype: Genotype, rng: random.Random) -> Genotype:
    """A genotype with one choice changed, or more where constraints demand it (see `SearchSpace.mutate`).

    Where there is nothing to mutate to, a genotype is drawn: in a space of one genotype that one again.
    """
    try:
        return space.mutate(genotype, rng)
    except InputError:
        return space.sample(rng)
