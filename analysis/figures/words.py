"""What figures that hold for every space call its choices and options, and how they colour options."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from analysis.figures.style import TASKS, context_colours, context_titles, task_colours
from searchspace import CONTEXTS, BMTASSpace, CPSpace, SearchSpace

__all__ = ["BLOCKS", "Words", "words_of"]


def _arrow(choice: str) -> str:
    return choice.replace("<-", " ← ").replace("_", " ")


def _node(choice: str) -> str:
    """Of ``stage2:depth``, the node of depth at stage 2."""
    reader, _, task = choice.partition(":")
    return f"{reader.replace('stage', 'stage ')}, {task.replace('_', ' ')}"


@dataclass(frozen=True)
class Words:
    """How to speak of a space.

    Attributes:
        choice: A choice, within a sentence.
        option: What a choice ends with, at the beginning of one.
        title: Choice -> its name at an axis.
        colours: Options -> their colours.
        known: Options in the order of legends; others follow by name.
        legend: Title of a legend of options, where their names do not say what they are.
    """

    choice: str
    option: str
    title: Callable[[str], str] = _arrow
    colours: Callable[[Iterable[str]], dict[str, str]] = context_colours
    known: Sequence[str] = CONTEXTS
    legend: str | None = None

    def in_order(self, options: Iterable[str]) -> list[str]:
        """The options, each once, as legends have them."""
        given = set(options)
        return [*(option for option in self.known if option in given), *sorted(given - set(self.known))]

    def titles(self, options: Iterable[str]) -> dict[str, str]:
        """Options -> their names in legends."""
        return context_titles(options)


BLOCKS = Words("block", "Context")
"""Of the context-pooling space."""

_WORDS: dict[type[SearchSpace], Words] = {
    CPSpace: BLOCKS,
    BMTASSpace: Words("choice", "Node", _node, task_colours, TASKS, legend="Node that is read, by its task"),
    SearchSpace: Words("choice", "Option"),
}


def words_of(space: SearchSpace | None) -> Words:
    """The words for a space; for one that is not known, those that hold for any."""
    kinds = type(space).__mro__ if space is not None else ()
    return next((_WORDS[kind] for kind in kinds if kind in _WORDS), _WORDS[SearchSpace])
