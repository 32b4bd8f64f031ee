"""A genotype that was chosen beforehand: by hand, by a file, or by rule. The baseline of every comparison."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from searchspace import CPSpace, Genotype, InputError, SearchSpace, Selection, load_genotype
from strategies._base import STRATEGIES, OneShotStrategy

__all__ = ["Fixed", "resolve_genotype"]

UNIFORM = "all-"
"""``all-global`` and its like: the same context in every block of a cp space."""


def resolve_genotype(text: str, space: SearchSpace) -> Genotype:
    """A genotype from what a person types.

    Args:
        text: ``all-global``, ``all-local``, ``all-t_label`` (or ``all-t-label``), ``all-s_label``, ``all-none``, or
            the path of a genotype file, ours or a released one.
        space: The space that it must belong to.

    Raises:
        InputError: Neither, or a genotype of another space.
    """
    if text.startswith(UNIFORM):
        if not isinstance(space, CPSpace):
            raise InputError(f"{text!r} is a genotype of the cp space, but this is space {space.name!r}")
        return space.uniform(text.removeprefix(UNIFORM).replace("-", "_"))
    try:
        genotype = load_genotype(Path(text))
    except InputError as error:
        raise InputError(f"{error} (a file, or all-global, all-local, all-t_label, all-s_label, all-none)") from None
    return space.validate(genotype)


@STRATEGIES.register("fixed")
class Fixed(OneShotStrategy):
    """Trains the supernet at one genotype from the first step to the last.

    Args:
        space: Any space.
        genotype: What `resolve_genotype` takes, or a genotype of the space.
        seed: Unused; nothing is drawn.
    """

    name = "fixed"
    summary = "no search: a genotype given by rule or by file"
    paper = "Table 1 of Bruggemann et al., ICCV 2021"
    active_paths = "one"
    meets_constraints = True
    paths = ("genotype",)

    def __init__(self, space: SearchSpace, *, genotype: str | Genotype, seed: int = 0) -> None:
        super().__init__(space, seed=seed)
        given = genotype if isinstance(genotype, Genotype) else resolve_genotype(genotype, space)
        self._genotype = space.validate(given)

    @classmethod
    def with_full_paths(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """As of any strategy, but for a genotype that is given by rule."""
        by_rule = str(options.get("genotype", "")).startswith(UNIFORM)
        return dict(options) if by_rule else super().with_full_paths(options)

    def anneal(self, progress: float) -> None:
        pass

    def select(self) -> Selection:
        return Selection.of(self._genotype)

    def update(self) -> None:
        pass

    def genotype(self) -> Genotype:
        return self._genotype

    def report(self) -> dict[str, Any]:
        return {"probabilities": {choice: {option: 1.0} for choice, option in self._genotype.items()}}

    def state_dict(self) -> dict[str, Any]:
        return {"genotype": self._genotype.to_json()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._genotype = self.space.validate(Genotype.from_json(state["genotype"]))
