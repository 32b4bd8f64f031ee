"""Makes one genotype from several searches: reads their folders, and votes block by block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from atrc.runs import RunDirectory
from atrc.setup import Setup
from searchspace import Consensus, Genotype, InputError, SearchSpace, find_consensus
from searchspace.consensus import Probabilities

__all__ = ["SearchConsensus", "consensus_of_searches", "last_probabilities"]


@dataclass(frozen=True)
class SearchConsensus:
    """The consensus of searches.

    Attributes:
        found: Genotype and votes; see `searchspace.find_consensus`.
        searches: The finished searches, whose genotypes count.
        unfinished: The unfinished searches, which are left out.
    """

    found: Consensus
    searches: tuple[RunDirectory, ...]
    unfinished: tuple[RunDirectory, ...]

    @property
    def genotype(self) -> Genotype:
        """The option that most searches found, for every block."""
        return self.found.genotype

    def remarks(self) -> list[str]:
        """Returns remarks on the consensus, one line each: unfinished searches, a single search, changes of votes."""
        said = [
            f"left out: search {run.path} is not finished; continue it with: atrc resume {run.path}"
            for run in self.unfinished
        ]
        if len(self.searches) == 1:
            said.append(f"only one search, so the consensus is the genotype of {self.searches[0].path}")
        return [*said, *([self.found.note] if self.found.note else [])]


def consensus_of_searches(runs: Iterable[RunDirectory]) -> SearchConsensus:
    """Returns the consensus of the finished searches among the runs.

    Ties are broken by the probabilities of the searches; see `last_probabilities`.

    Args:
        runs: Runs of any kind; a repeated run counts once.

    Raises:
        InputError: There is no finished search, or the searches have different tasks or different spaces.
    """
    every: dict[Path, RunDirectory] = {}
    for run in runs:
        if run.spec.kind == "search":
            every.setdefault(run.path.resolve(), run)
    searches = [run for run in every.values() if run.finished]
    unfinished = tuple(run for run in every.values() if not run.finished)
    if not searches:
        raise InputError(_none_finished(unfinished))
    space = _common_space(searches)
    genotypes = [_genotype(run, space) for run in searches]
    found = find_consensus(space, genotypes, [last_probabilities(run, space) for run in searches])
    return SearchConsensus(found, tuple(searches), unfinished)


def last_probabilities(run: RunDirectory, space: SearchSpace) -> Probabilities | None:
    """Returns the last probabilities of options that a search logged in its ``architecture.jsonl``.

    Args:
        run: A search.
        space: Space of the search.

    Returns:
        Choice -> option -> probability. None if the search logged no probabilities, as a search by trials. None also
        if the most probable options are not the canonical form of their network: votes are counted in that form, in
        which other names may stand for the same options.
    """
    last = None
    for line in run.lines("architecture.jsonl"):
        last = line.get("probabilities", last)
    if last is None or set(last) != set(space):
        return None
    if any(p is None for options in last.values() for p in options.values()):  # a probability was not finite
        return None
    leading = {choice: max(options, key=lambda o: last[choice].get(o, 0.0)) for choice, options in space.items()}
    renamed = space.violation(leading) is None and dict(space.canonical(leading)) != leading
    return None if renamed else last


def _none_finished(unfinished: Sequence[RunDirectory]) -> str:
    if not unfinished:
        return "no search among these runs; make one with: atrc search"
    first = unfinished[0].path
    if len(unfinished) == 1:
        return f"search {first} is not finished; continue it with: atrc resume {first}"
    return f"none of the {len(unfinished)} searches is finished; continue the first with: atrc resume {first}"


def _common_space(searches: Sequence[RunDirectory]) -> SearchSpace:
    first, *others = searches
    space: SearchSpace = Setup.of(first.config).space
    for run in others:
        if set(run.config.tasks) != set(first.config.tasks):
            raise InputError(
                f"searches of different tasks have no consensus: {first.path} has {', '.join(first.config.tasks)}; "
                f"{run.path} has {', '.join(run.config.tasks)}"
            )
        other = Setup.of(run.config).space
        if other != space:
            raise InputError(
                f"searches of different spaces have no consensus: {first.path} has the space "
                f"{_described(space)}; {run.path} has {_described(other)}"
            )
    return space


def _described(space: SearchSpace) -> str:
    return f"{space.name} {space.parameters}" if space.parameters else repr(space)


def _genotype(run: RunDirectory, space: SearchSpace) -> Genotype:
    path = run.path / "genotype.json"
    genotype = run.genotype()
    if genotype is None:
        raise InputError(f"{path} does not exist, although the search is finished")
    try:
        return space.validate(genotype)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
