"""Combines several genotypes into one: every choice gets the option that most of them chose.

Ties are broken by the mean log probability of the tied options, where it is known. For probabilities that are a
softmax of logits, the mean logit breaks ties in the same way: it differs from the mean log probability by a constant
per choice.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from searchspace.errors import InputError
from searchspace.genotype import Genotype
from searchspace.space import SearchSpace

__all__ = ["Consensus", "Probabilities", "Vote", "find_consensus"]

Probabilities = Mapping[str, Mapping[str, float]]
"""Choice -> option -> probability that a search gives it; an option that is missing has probability 0."""


@dataclass(frozen=True)
class Vote:
    """The result of the vote on one choice.

    Attributes:
        choice: Name of the choice.
        option: Option that the consensus takes.
        votes: Number of genotypes with this option.
        genotypes: Number of all genotypes.
        margin: Share of this option minus the share of the most frequent other option. It is negative only if a
            constraint between choices overruled the vote.
        tied: The other options with the same number of votes, if no option has more; in the space's order.
        broken_by: Rule that broke the tie, in words; empty if there was no tie.
    """

    choice: str
    option: str
    votes: int
    genotypes: int
    margin: float
    tied: tuple[str, ...] = ()
    broken_by: str = ""

    @property
    def share(self) -> float:
        """Share of the genotypes that have this option, in 0..1."""
        return self.votes / self.genotypes


@dataclass(frozen=True)
class Consensus:
    """A genotype that combines several others, and the votes behind it.

    Attributes:
        genotype: A legal genotype in its canonical form (`SearchSpace.canonical`).
        votes: Result of the vote on every choice, in the space's order.
        note: One line that says why the genotype differs from the votes; empty if it does not.
    """

    genotype: Genotype
    votes: tuple[Vote, ...]
    note: str = ""


def find_consensus(
    space: SearchSpace,
    genotypes: Sequence[Genotype],
    probabilities: Sequence[Probabilities | None] | None = None,
) -> Consensus:
    """Combines the most frequent option of every choice. The result does not depend on the order of the genotypes.

    If these options together break a constraint of the space, the result is the given genotype whose options have the
    most votes in total; of several such genotypes, the first in the space's order.

    Args:
        space: Any space.
        genotypes: At least one; they are counted in their canonical form.
        probabilities: Option probabilities of the search behind each genotype; None for a search that has none.
            Without any probabilities, ties are broken by the order of the options.

    Raises:
        InputError: There is no genotype, or one belongs to another space.

    Example:
        >>> space = SearchSpace("lights", {"a": ["off", "on"], "b": ["off", "on"]})
        >>> three = [space.decode(indices) for indices in [(1, 0), (1, 1), (0, 0)]]
        >>> [(vote.option, vote.votes) for vote in find_consensus(space, three).votes]
        [('on', 2), ('off', 2)]
    """
    if not genotypes:
        raise InputError("a consensus needs at least one genotype")
    said = [None] * len(genotypes) if probabilities is None else probabilities
    if len(said) != len(genotypes):
        raise ValueError(f"{len(said)} probabilities were given for {len(genotypes)} genotypes")
    found = [space.canonical(space.validate(genotype)) for genotype in genotypes]
    counts = {choice: Counter(genotype[choice] for genotype in found) for choice in space}
    known = [one for one in said if one is not None]
    broken = {choice: _break_tie(space, choice, counts[choice], known, len(found)) for choice in space}
    majority = {choice: option for choice, (option, _) in broken.items()}
    violation = space.violation(majority)
    if violation is None:
        genotype = space.canonical(majority)
        renamed = genotype.distance(space.genotype(majority))
        note = f"{renamed} of {len(space)} choices differ from the vote, to bring this network to its canonical form"
        votes = tuple(_vote(space, choice, option, counts[choice], by) for choice, (option, by) in broken.items())
        return Consensus(genotype, votes, note if renamed else "")
    genotype, note = _most_votes(space, found, counts)
    votes = tuple(
        _vote(space, choice, genotype[choice], counts[choice], "the constraint between choices") for choice in space
    )
    return Consensus(genotype, votes, f"the most frequent options together are no genotype: {violation}; {note}")


def _break_tie(
    space: SearchSpace, choice: str, counts: Counter[str], known: Sequence[Probabilities], genotypes: int
) -> tuple[str, str]:
    """Returns the most frequent option, and the rule that broke a tie (empty without one)."""
    most = max(counts.values())
    tied = [option for option in space[choice] if counts[option] == most]
    if len(tied) == 1:
        return tied[0], ""
    if not known:
        return tied[0], f"{_first_of(tied)}: no search has probabilities"
    means = {option: _mean_log([one[choice].get(option, 0.0) for one in known]) for option in tied}
    best = max(means.values())
    leading = [option for option in tied if means[option] == best]
    listed = ", ".join(
        f"{option} {means[option]:.3g}" for option in sorted(tied, key=means.__getitem__, reverse=True)
    )
    of = f" (of {len(known)} of {genotypes} searches)" if len(known) < genotypes else ""
    then = f"; {_first_of(leading)}" if len(leading) > 1 else ""
    return leading[0], f"mean log probability{of}: {listed}{then}"


def _first_of(options: Sequence[str]) -> str:
    return f"first in the space of {', '.join(options)}"


def _mean_log(probabilities: Sequence[float]) -> float:
    """Returns the mean logarithm. `math.fsum` rounds once, so that the order of the searches makes no difference."""
    return math.fsum(math.log(p) if p > 0 else -math.inf for p in probabilities) / len(probabilities)


def _most_votes(
    space: SearchSpace, found: Sequence[Genotype], counts: Mapping[str, Counter[str]]
) -> tuple[Genotype, str]:
    """Returns the genotype whose options have the most votes in total, and a note about it."""
    votes = {genotype: sum(counts[choice][genotype[choice]] for choice in space) for genotype in found}
    most = max(votes.values())
    first = min((genotype for genotype in votes if votes[genotype] == most), key=space.encode)
    several = sum(total == most for total in votes.values())
    note = f"the consensus is the given genotype whose options have the most votes in total, {most} of "
    note += f"{len(found) * len(space)} votes"
    return first, note + (f" (the first of {several} such in the order of the space)" if several > 1 else "")


def _vote(space: SearchSpace, choice: str, option: str, counts: Counter[str], broken_by: str) -> Vote:
    rest = [other for other in space[choice] if other != option]
    runner_up = max((counts[other] for other in rest), default=0)
    most, genotypes = max(counts.values()), counts.total()
    tied = tuple(other for other in rest if counts[other] == counts[option] == most)
    margin = (counts[option] - runner_up) / genotypes
    return Vote(choice, option, counts[option], genotypes, margin, tied, broken_by if tied else "")
