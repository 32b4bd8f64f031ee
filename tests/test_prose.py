"""Rules of the prose that can be held mechanically, for docstrings and for lines that users see."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import pytest
from import_graph import MODULES, ROOT, tree_of
from printed_lines import documented, printed_lines, texts

WIDTH = 118
"""Characters of the longest line."""
SECTIONS = ("Args", "Attributes", "Returns", "Raises")
ENTRY = re.compile(r"(?:[`*\w., \[\]|]+: )?Of\b")
"""The beginning of an entry that names a belonging instead of a thing: ``seed: Of the bootstrap.``"""
VAGUE = re.compile(r"\bso (?:many|often)\b", re.IGNORECASE)
"""Words that stand for a number which the text does not give."""
RIDDLE = re.compile(r"(?:What|How|Whether|Who)\b")
"""The beginning of a summary without a verb, e.g. ``What a run is``."""


@dataclass(frozen=True)
class Documented:
    """A docstring.

    Attributes:
        name: Name of the function or class; empty for a module or an attribute.
        function: True for a function or a method that is not a property.
        text: The docstring, without indentation.
    """

    name: str
    function: bool
    text: str

    @property
    def summary(self) -> str:
        """The first paragraph, which should be one line."""
        return self.text.partition("\n\n")[0]

    @property
    def public(self) -> bool:
        return not self.name.startswith("_")


def docstrings(tree: ast.Module) -> Iterator[tuple[int, Documented]]:
    """Yields the line and the docstring of everything in a module that has one, and of attributes."""
    said: set[int] = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        text = ast.get_docstring(node)
        if text is None:
            continue
        first = node.body[0]
        assert isinstance(first, ast.Expr)
        said.add(id(first.value))
        decorators = [ast.unparse(one) for one in getattr(node, "decorator_list", [])]
        function = not isinstance(node, ast.Module | ast.ClassDef) and not any(
            "property" in one for one in decorators
        )
        yield first.lineno, Documented(getattr(node, "name", ""), function, text)
    for node in documented(tree):
        if id(node) not in said:
            yield node.lineno, Documented("", False, str(node.value))


def entries(text: str) -> Iterator[str]:
    """Yields the entries of the sections of a docstring, each up to the end of its first line."""
    inside, indent = False, 0
    for line in text.splitlines():
        if line.rstrip(":") in SECTIONS and line.endswith(":"):
            inside, indent = True, 0
            continue
        here = len(line) - len(line.lstrip())
        if line and not here:
            inside = False
        if inside and line:
            indent = indent or here
            if here == indent:
                yield line.strip()


def of_entries(text: str) -> list[str]:
    """Returns the entries that begin with ``Of``."""
    return [entry for entry in entries(text) if ENTRY.match(entry)]


@cache
def all_docstrings() -> list[tuple[str, Documented]]:
    """Returns the place and the docstring of everything in the four packages."""
    return [
        (f"{path.relative_to(ROOT)}:{line}", found) for path in MODULES for line, found in docstrings(tree_of(path))
    ]


SOURCE = '''
"""A module."""
SIZE = 3
"""A size of
two lines."""
class Search:
    """A search.

    Attributes:
        seed: Of the search.
        steps: Number of steps.
            Of them all, the last counts.
    """
    @property
    def best(self):
        """What is best."""
    def run(self):
        """Whether it ran.

        Returns:
            Of the search, the result.

        Of course this is no entry.
        """
    def _hidden(self):
        """How it is done, so often."""
'''


def test_the_reader_of_docstrings_sees_what_it_must() -> None:
    found = {one.name: one for _, one in docstrings(ast.parse(SOURCE)) if one.name}
    assert {name: (one.function, one.public) for name, one in found.items()} == {
        "Search": (False, True),
        "best": (False, True),
        "run": (True, True),
        "_hidden": (True, False),
    }
    unnamed = [one.summary for _, one in docstrings(ast.parse(SOURCE)) if not one.name]
    assert unnamed == ["A module.", "A size of\ntwo lines."]


def test_the_reader_of_entries_sees_what_it_must() -> None:
    found = {one.name: of_entries(one.text) for _, one in docstrings(ast.parse(SOURCE)) if one.name}
    assert found == {
        "Search": ["seed: Of the search."],
        "best": [],
        "run": ["Of the search, the result."],
        "_hidden": [],
    }


def test_the_patterns_see_what_they_must() -> None:
    assert all(VAGUE.search(text) for text in ("So many steps.", "it is drawn so often"))
    assert not VAGUE.search("so manyfold, or as often")
    assert all(RIDDLE.match(text) for text in ("What a run is.", "How far", "Whether it ran.", "Who asks"))
    assert not any(RIDDLE.match(text) for text in ("Whatever.", "Returns whether it ran."))


def test_the_reader_of_printed_lines_sees_what_it_must() -> None:
    source = '''
"""A module that is not printed."""
@app.command()
def go():
    """Go on."""
@TASKS.register("depth")
class Depth(Task):
    """Depth in metres.

    More of it.
    """
    summary = "depth of every pixel"
    """A text below an attribute."""
def check(x):
    if x:
        raise InputError(f"x must be {bound:g}, got {x!r}")
    raise UnknownNameError("task", x)
    console.print("two words")
    plot(loc="outside upper center")
    return option(help="Seed of all.") or re.compile("a b c")
key = typer.Option(help="Seed of all.")
'''
    assert sorted((kind, text) for _, kind, text in texts(ast.parse(source))) == [
        ("entry", "Depth in metres."),
        ("error", "x must be {bound}, got {x}"),
        ("help", "Go on."),
        ("help", "Seed of all."),
        ("print", "two words"),
        ("text", "Seed of all."),
        ("text", "depth of every pixel"),
    ]


def test_there_is_prose_to_read() -> None:
    assert len(all_docstrings()) > 2000
    assert len(printed_lines()) > 1000


def test_no_entry_begins_with_of() -> None:
    assert [f"{place}: {entry}" for place, one in all_docstrings() for entry in of_entries(one.text)] == []


def test_no_text_says_so_many_or_so_often() -> None:
    said = [(place, one.text) for place, one in all_docstrings()] + [(one.place, one.text) for one in printed_lines()]
    assert [f"{place}: {text}" for place, text in said if VAGUE.search(text)] == []


def test_functions_begin_with_a_verb() -> None:
    functions = [(place, one) for place, one in all_docstrings() if one.function and one.public]
    assert [f"{place}: {one.summary}" for place, one in functions if RIDDLE.match(one.summary)] == []


@pytest.mark.parametrize("package", ["searchspace", "strategies", "atrc", "analysis"])
def test_summaries_are_one_line(package: str) -> None:
    long = [
        f"{place}: {one.summary}"
        for place, one in all_docstrings()
        if place.startswith(f"{package}/") and ("\n" in one.summary or len(one.summary) > WIDTH)
    ]
    assert long == []
