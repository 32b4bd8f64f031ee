"""A genotype that is given beforehand: by hand, by a file, or by rule. The baseline of every comparison."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from searchspace import Genotype, SearchSpace, Selection, UnknownNameError, load_genotype
from strategies._base import STRATEGIES
from strategies.one_shot._base import OneShotStrategy

__all__ = ["Fixed", "resolve_genotype"]


def resolve_genotype(text: str, space: SearchSpace) -> Genotype:
    """Turns the text that a person types into a genotype.

    Args:
        text: A name of `SearchSpace.named` (``all-global``, ``all-t_label`` or ``all-t-label``), or the path of a
            genotype file, ours or a released one.
        space: The space that the genotype must belong to.

    Raises:
        InputError: The text is neither, or the genotype is one of another space.
    """
    named = space.named()
    genotype = named.get(text.replace("-label", "_label"))
    if genotype is not None:
        return genotype
    if _is_name(text):
        raise UnknownNameError("genotype", text, named, f"space {space.name!r}")
    return space.validate(load_genotype(Path(text)))


def _is_name(text: str) -> bool:
    """Tells whether a text is a name and not the path of a file."""
    return not Path(text).suffix and len(Path(text).parts) == 1


@STRATEGIES.register("fixed")
class Fixed(OneShotStrategy):
    """Trains the supernet at one genotype from the first step to the last.

    Args:
        space: Any space.
        genotype: A genotype of the space, or text for `resolve_genotype`.
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
        """Writes the path of a genotype file in full; leaves the name of a genotype."""
        named = _is_name(str(options.get("genotype", "")))
        return dict(options) if named else super().with_full_paths(options)

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
