"""Genotypes: points of a search space. They are immutable and are stored as readable JSON."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from searchspace.errors import InputError
from searchspace.text import read_text

__all__ = ["FORMAT", "Genotype"]

FORMAT = "atrc-genotype/1"
"""Version of the JSON form. Later versions of the software read this version, too."""


class Genotype(Mapping[str, str]):
    """A complete assignment of options to choices. A space builds and validates it.

    Args:
        space: Name of the space.
        choices: Choice -> option, in the space's order.
        parameters: Keyword arguments that rebuild the space from the registry; stored in the file.
    """

    __slots__ = ("_choices", "_hash", "_parameters", "_space")

    def __init__(self, space: str, choices: Mapping[str, str], parameters: Mapping[str, Any] | None = None) -> None:
        self._space = space
        self._parameters = MappingProxyType(dict(parameters or {}))
        self._choices = MappingProxyType(dict(choices))
        # Equality ignores the order of the choices, so the hash must ignore it, too.
        self._hash = hash((space, frozenset(self._choices.items())))

    @property
    def space(self) -> str:
        """Name of the space."""
        return self._space

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Keyword arguments that rebuild the space from the registry."""
        return self._parameters

    def __getitem__(self, choice: str) -> str:
        return self._choices[choice]

    def __iter__(self) -> Iterator[str]:
        return iter(self._choices)

    def __len__(self) -> int:
        return len(self._choices)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Genotype):
            return NotImplemented
        return self.space == other.space and self._choices == other._choices

    def __reduce__(self) -> tuple[Any, ...]:  # the read-only views inside cannot be copied or pickled
        return Genotype, (self.space, dict(self._choices), dict(self.parameters))

    def __repr__(self) -> str:
        inner = ", ".join(f"{choice}: {option}" for choice, option in self.items())
        return f"Genotype({self.space}; {inner})"

    def diff(self, other: Genotype) -> dict[str, tuple[str, str]]:
        """Returns choice -> (option here, option there), for the choices that differ.

        Raises:
            InputError: The two do not have the same choices.
        """
        if self.space != other.space or set(self) != set(other):
            raise InputError(
                f"genotypes of different spaces cannot be compared: {self.space!r} with {len(self)} choices, "
                f"{other.space!r} with {len(other)}"
            )
        return {c: (self[c], other[c]) for c in self if self[c] != other[c]}

    def distance(self, other: Genotype) -> int:
        """Returns the Hamming distance: the number of choices that differ."""
        return len(self.diff(other))

    def to_json(self) -> dict[str, Any]:
        """Returns the versioned JSON form, in which options are names and not integers."""
        return {
            "format": FORMAT,
            "space": self.space,
            "parameters": copy.deepcopy(dict(self.parameters)),
            "choices": dict(self._choices),
        }

    @classmethod
    def from_json(cls, data: Any, where: str = "genotype") -> Genotype:
        """Inverts `to_json`. The caller has the space validate the result (`SearchSpace.validate`).

        Raises:
            InputError: ``data`` is not a genotype, or has a version that this software does not know.
        """
        if not isinstance(data, dict) or "format" not in data:
            raise InputError(f"{where} is not a genotype: expected an object with 'format': {FORMAT!r}")
        if data["format"] != FORMAT:
            raise InputError(f"{where} has format {data['format']!r}; this version reads {FORMAT!r}")
        choices = data.get("choices")
        if not isinstance(choices, dict) or not all(isinstance(o, str) for o in choices.values()):
            raise InputError(f"{where}: 'choices' must map each choice to the name of an option")
        parameters = data.get("parameters") or {}
        if not isinstance(data.get("space"), str) or not isinstance(parameters, dict):
            raise InputError(f"{where}: 'space' must be a name and 'parameters' an object")
        return cls(data["space"], choices, parameters)

    @classmethod
    def load(cls, path: str | Path) -> Genotype:
        """Reads a genotype file.

        Raises:
            InputError: The file is missing, is not JSON or is no genotype; the message names the file.
        """
        try:
            data = json.loads(read_text(path))
        except FileNotFoundError:
            raise InputError(f"genotype file {path} does not exist") from None
        except (OSError, ValueError) as error:
            raise InputError(f"genotype file {path} cannot be read as JSON: {error}") from None
        return cls.from_json(data, where=str(path))
