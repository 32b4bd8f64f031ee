"""Search spaces: an ordered, immutable mapping from choice to options.

A space knows no network, no data and no strategy. It samples, enumerates, validates and encodes genotypes in plain
Python.
"""

from __future__ import annotations

import copy
import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Protocol, Self, TypeVar

from searchspace.errors import InputError, UnknownNameError
from searchspace.genotype import Genotype
from searchspace.paths import PathOptions
from searchspace.registry import Registry

__all__ = ["SPACES", "SearchSpace", "best_fit"]

DRAWS = 10_000
"""Largest number of consecutive draws that may break a constraint; after that, all genotypes are listed."""

LISTED = 1_000_000
"""Largest number of combinations of options that are checked against the constraints."""


class SearchSpace(Mapping[str, tuple[str, ...]], PathOptions):
    """A mapping from every choice to its options.

    A constraint on a single choice is expressed by its list of options (the diagonal blocks of the CP space have no
    ``s_label``). A space whose choices depend on one another overrides `violation`.

    Args:
        name: The registered name, or any name for a space declared by hand.
        choices: Choice name -> its options, at least one, all different. Encodings use the same order.
        parameters: Keyword arguments that build the same space again from the registry; kept in genotype files.

    Example:
        >>> space = SearchSpace("two switches", {"a": ["on", "off"], "b": ["on", "off"]})
        >>> space.size
        4
        >>> space.genotype({"a": "on", "b": "off"})["b"]
        'off'
    """

    def __init__(
        self,
        name: str,
        choices: Mapping[str, Sequence[str]],
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        if not choices:
            raise InputError(f"space {name!r} has no choices; declare at least one")
        for choice, options in choices.items():
            if not isinstance(choice, str):
                raise InputError(f"choices of space {name!r} must have names, got {choice!r}")
            listed = isinstance(options, Sequence) and not isinstance(options, str)
            if not listed or not options or not all(isinstance(o, str) for o in options):
                raise InputError(f"choice {choice!r} of space {name!r} needs a list of option names, got {options!r}")
            if len(set(options)) != len(options):
                raise InputError(f"choice {choice!r} of space {name!r} lists an option twice: {list(options)}")
        self.name = name
        self.parameters = dict(parameters or {})
        self._choices = {choice: tuple(options) for choice, options in choices.items()}

    def __getitem__(self, choice: str) -> tuple[str, ...]:
        try:
            return self._choices[choice]
        except KeyError:
            raise UnknownNameError("choice", choice, self._choices, f"space {self.name!r}") from None

    def __contains__(self, choice: object) -> bool:
        return choice in self._choices

    def __iter__(self) -> Iterator[str]:
        return iter(self._choices)

    def __len__(self) -> int:
        return len(self._choices)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SearchSpace):
            return NotImplemented
        return self.name == other.name and list(self.items()) == list(other.items())

    def __hash__(self) -> int:
        return hash((self.name, tuple(self._choices.items())))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {len(self)} choices, {self.size:.3g} genotypes)"

    @property
    def size(self) -> int:
        """Number of combinations of options. This is the number of genotypes if no constraint joins choices."""
        return math.prod(len(options) for options in self._choices.values())

    @property
    def constrained(self) -> bool:
        """True if choices depend on one another, so that some combinations of options are no genotypes."""
        return type(self).violation is not SearchSpace.violation

    # -- genotypes ------------------------------------------------------------------------------------------

    def violation(self, choices: Mapping[str, str]) -> str | None:
        """Returns one line that names a broken constraint between choices, or None if all are met."""
        return None

    def genotype(self, choices: Mapping[str, str]) -> Genotype:
        """Validates a complete set of choices and returns it as a genotype.

        Raises:
            InputError: A choice is missing, unknown, or set to an option that it does not have.
        """
        for choice, option in choices.items():
            if choice not in self:
                raise UnknownNameError("choice", choice, self, f"space {self.name!r}")
            if option not in self[choice]:
                raise UnknownNameError("option", option, self[choice], f"choice {choice!r}")
        missing = [choice for choice in self if choice not in choices]
        if missing:
            raise InputError(f"genotype for space {self.name!r} lacks the choice {missing[0]!r}")
        broken = self.violation(choices)
        if broken:
            raise InputError(f"genotype for space {self.name!r}: {broken}")
        return Genotype(self.name, {choice: choices[choice] for choice in self}, self.parameters)

    def validate(self, genotype: Genotype) -> Genotype:
        """Returns the genotype if it belongs to this space.

        Raises:
            InputError: The genotype was made for other choices (for example, other tasks) or for another space.
        """
        if genotype.space != self.name:
            raise InputError(f"genotype is for space {genotype.space!r}, but this is space {self.name!r}")
        return self.genotype(genotype)

    def canonical(self, choices: Mapping[str, str]) -> Genotype:
        """Returns the genotype that represents all genotypes of the same network: by default the genotype itself.

        A space in which different choices can make the same network overrides this method.
        """
        return self.genotype(choices)

    def named(self) -> Mapping[str, Genotype]:
        """Returns genotypes with names, for baselines: ``-m all-OPTION`` trains one.

        By default there is an ``all-OPTION`` for every option that all choices have: the genotype that takes this
        option everywhere, if no constraint forbids that. A space whose options are not operations overrides this
        method.
        """
        first, *others = self.values()
        everywhere = [option for option in first if all(option in options for options in others)]
        uniform = {option: dict.fromkeys(self, option) for option in everywhere}
        return {
            f"all-{option}": self.genotype(choices)
            for option, choices in uniform.items()
            if self.violation(choices) is None
        }

    def only(self, genotype: Mapping[str, str]) -> Self:
        """The same space with one option for every choice, that of a genotype: for the network that it stands for."""
        alone = copy.copy(self)
        alone._choices = {choice: (genotype[choice],) for choice in self}
        for name in [one for one in vars(alone) if isinstance(getattr(type(self), one, None), cached_property)]:
            del vars(alone)[name]
        return alone

    def sample(self, rng: random.Random) -> Genotype:
        """Draws a genotype uniformly.

        Draws that break a constraint are repeated. After 10,000 such draws in a row, all genotypes of the space are
        listed, and one of them is drawn.

        Raises:
            InputError: No genotype meets the constraints; or 10,000 draws broke one, and the space has more than a
                million combinations of options, which is too many to list.
        """
        for _ in range(DRAWS):
            choices = {choice: rng.choice(options) for choice, options in self.items()}
            if self.violation(choices) is None:
                return self.genotype(choices)
        if self.size > LISTED:
            raise InputError(
                f"no genotype of space {self.name!r} was found: {DRAWS} draws broke a constraint (the last one: "
                f"{self.violation(choices)}), and {self.size:.3g} combinations are too many to list, {LISTED} may be"
            )
        if not self._listed:
            raise InputError(f"space {self.name!r} has no genotype: every combination of options breaks a constraint")
        return rng.choice(self._listed)

    @cached_property
    def _listed(self) -> list[Genotype]:
        """All genotypes. `sample` lists them only after 10,000 draws found none, so they are few."""
        return list(self.enumerate())

    def enumerate(self) -> Iterator[Genotype]:
        """Yields every genotype once; the last choice varies fastest."""
        for options in itertools.product(*self.values()):
            choices = dict(zip(self, options, strict=True))
            if self.violation(choices) is None:
                yield self.genotype(choices)

    def neighbours(self, genotype: Genotype, distance: int = 1) -> Iterator[Genotype]:
        """Yields every genotype that differs in exactly ``distance`` choices, by default one."""
        for changed in itertools.combinations(self._free, distance):
            others = ([option for option in self[choice] if option != genotype[choice]] for choice in changed)
            for options in itertools.product(*others):
                choices = {**genotype, **dict(zip(changed, options, strict=True))}
                if self.violation(choices) is None:
                    yield self.genotype(choices)

    def nearest(self, genotype: Genotype, distance: int = 1) -> list[Genotype]:
        """Returns all genotypes at ``distance``, or at another distance if constraints leave none there.

        Larger distances are tried first, in increasing order, then smaller ones, in decreasing order. A distance with
        more than a million combinations of options is skipped.

        Returns:
            Genotypes of one distance; empty if no other genotype was found.
        """
        most = len(self._free)
        for other in (*range(distance, most + 1), *range(min(distance - 1, most), 0, -1)):
            if self._combinations[other] <= LISTED and (found := list(self.neighbours(genotype, other))):
                return found
        return []

    def mutate(self, genotype: Genotype, rng: random.Random, changes: int = 1) -> Genotype:
        """Draws a genotype at distance ``changes``.

        The choices that change are drawn uniformly among those with an alternative, then the new option of each. A
        draw that breaks a constraint is repeated, up to 10,000 times or up to the number of combinations at that
        distance, whichever is less. After that, the genotype is drawn from the list that `nearest` makes, with the
        same probabilities. The mutant has another distance only if constraints leave no genotype at this one.

        Raises:
            InputError: ``changes`` is not between 1 and the number of choices with an alternative; or no other
                genotype was found.
        """
        free = self._free
        if not free:
            raise InputError(f"space {self.name!r} has one genotype: there is nothing to mutate to")
        if not 1 <= changes <= len(free):
            raise InputError(f"changes must be in 1..{len(free)}, got {changes}")
        for _ in range(min(self._combinations[changes], DRAWS)):
            choices = dict(genotype)
            for choice in rng.sample(free, changes):
                choices[choice] = rng.choice([o for o in self[choice] if o != genotype[choice]])
            if self.violation(choices) is None:
                return self.genotype(choices)
        found = self.nearest(genotype, changes)
        if not found:
            raise InputError(
                f"space {self.name!r}: no mutation of {dict(genotype)} was found that satisfies the constraints "
                "between choices"
            )
        weights = [1 / math.prod(len(self[choice]) - 1 for choice in genotype.diff(other)) for other in found]
        return rng.choices(found, weights)[0]

    @cached_property
    def _free(self) -> list[str]:
        """The choices with an alternative."""
        return [choice for choice, options in self.items() if len(options) > 1]

    @cached_property
    def _combinations(self) -> list[int]:
        """Number of combinations of options that differ from a given one in 0, 1, ... choices."""
        counts = [1]
        for options in self.values():
            stay, change = [*counts, 0], [0, *counts]
            counts = [same + other * (len(options) - 1) for same, other in zip(stay, change, strict=True)]
        return counts

    def encode(self, genotype: Genotype) -> tuple[int, ...]:
        """Returns the index of every chosen option, in the order of the choices."""
        return tuple(options.index(genotype[choice]) for choice, options in self.items())

    def decode(self, indices: Sequence[int]) -> Genotype:
        """Inverts `encode`."""
        if len(indices) != len(self):
            raise InputError(f"space {self.name!r} has {len(self)} choices, got {len(indices)} indices")
        for index, (choice, options) in zip(indices, self.items(), strict=True):
            if not 0 <= index < len(options):
                raise InputError(f"index of choice {choice!r} must be in 0..{len(options) - 1}, got {index}")
        return self.genotype({choice: options[i] for i, (choice, options) in zip(indices, self.items(), strict=True)})


SPACES: Registry[type[SearchSpace]] = Registry("space", "atrc.spaces")
"""Space classes by name; each is built from plain keyword arguments (see `SearchSpace.parameters`)."""


class _OfKind(Protocol):
    """A class that was registered for one kind of space.

    Attributes:
        space_type: Class of the spaces that it was made for.
    """

    space_type: ClassVar[type[SearchSpace]]


FitT = TypeVar("FitT", bound="type[_OfKind]")


def best_fit(registry: Mapping[str, FitT], space: SearchSpace) -> FitT | None:
    """Returns the registered class that fits a space best: the one whose ``space_type`` is its most derived base.

    So a subclass of a space inherits what was registered for the space, until something is registered for the
    subclass.

    Args:
        registry: Name -> class with an attribute ``space_type``.
        space: The space.

    Returns:
        A class; None if none was made for a space of this kind.
    """
    kinds = type(space).__mro__
    fitting = [entry for entry in registry.values() if entry.space_type in kinds]
    return min(fitting, key=lambda entry: kinds.index(entry.space_type), default=None)
