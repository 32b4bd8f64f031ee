"""Words and colours with which figures that hold for every space speak of its choices and options."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from analysis.figures.style import context_colours, context_titles, short_labels
from searchspace import CANDIDATES

__all__ = ["BLOCKS", "CHOICES", "Words"]


def _arrow(choice: str) -> str:
    return choice.replace("<-", " ← ").replace("_", " ")


@dataclass(frozen=True)
class Words:
    """Words and colours for a space.

    Attributes:
        choice: Noun for a choice, in lower case, e.g. ``"block"``.
        option: Noun for an option, capitalised, e.g. ``"Context"``.
        title: Gives a choice its name at an axis.
        colours: Gives options their colours.
        known: Options in the order of legends; others follow by name.
        legend: Title of a legend of options, where their names do not say what they are.
    """

    choice: str
    option: str
    title: Callable[[str], str] = _arrow
    colours: Callable[[Iterable[str]], dict[str, str]] = context_colours
    known: Sequence[str] = CANDIDATES
    legend: str | None = None

    def in_order(self, options: Iterable[str]) -> list[str]:
        """The options, each once, as legends have them."""
        given = set(options)
        return [*(option for option in self.known if option in given), *sorted(given - set(self.known))]

    def titles(self, options: Iterable[str]) -> dict[str, str]:
        """Options -> their names in legends."""
        return context_titles(options)

    def letters(self, options: Iterable[str]) -> dict[str, str]:
        """Options -> a letter or a few, for tiles."""
        return short_labels(options)


BLOCKS = Words("block", "Context")
"""Words for context-pooling blocks."""

CHOICES = Words("choice", "Option")
"""Words that hold for any space."""
