"""Lists the texts of the four packages that a user can see on the screen, in a file, or in a figure.

Run ``make messages`` to print them. The list is read from the syntax trees; nothing is imported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from import_graph import MODULES, ROOT, tree_of

PRINTERS = {"print", "echo", "secho", "warn", "print_exception", "title", "set_title"}
"""Names of functions and methods whose strings are shown at once."""
HELPED = {"Option", "Argument", "Typer", "command", "callback", "add_typer"}
"""Names of functions of Typer whose strings are help texts."""
WORDS = {"error": 2, "print": 2, "help": 2, "text": 3}
"""Kind -> the least number of words of a string that is listed. Shorter ones are names and labels."""
SETTINGS = {"loc", "args"}
"""Names of arguments whose strings are settings, not texts."""
NOT_SHOWN = {"getLogger", "compile", "match", "fullmatch", "search", "sub", "Literal", "TypeVar", "cast"}
"""Names of functions whose strings are patterns or names, not texts."""


@dataclass(frozen=True, order=True)
class Printed:
    """A text that a user can see.

    Attributes:
        place: File and line, e.g. ``atrc/cli/_app.py:12``.
        kind: ``error`` (raised), ``print``, ``help`` (of an option or a command), ``entry`` (first line of the
            docstring of a registered class or function), or ``text`` (a string elsewhere, such as a note, a caption,
            a summary, or a message that a function returns).
        text: The text. An inserted expression is in braces, as in the source.
    """

    place: str
    kind: str
    text: str


def written(node: ast.AST) -> str | None:
    """Returns the text of a string, of an f-string with its expressions in braces, or None for any other node."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else f"{{{ast.unparse(part.value)}}}"
            for part in node.values
            if isinstance(part, ast.Constant | ast.FormattedValue)
        )
    return None


def called(node: ast.Call) -> str:
    """Returns the last name of the function that a call names: ``echo`` for ``typer.echo(...)``."""
    return ast.unparse(node.func).split("(")[0].rpartition(".")[2]


def documented(tree: ast.AST) -> Iterator[ast.Constant]:
    """Yields the strings that stand alone as statements: docstrings, and texts below attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value


def shown_docstrings(tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    """Yields line, kind and text of docstrings that are printed.

    Typer prints the docstring of a command as its help. ``atrc registry`` and ``atrc bench`` print the first line of
    the docstring of a registered class or function.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and (text := ast.get_docstring(node)):
            by = {called(one) for one in node.decorator_list if isinstance(one, ast.Call)}
            if by & {"command", "callback"}:
                yield node.lineno, "help", text
            elif "register" in by:
                yield node.lineno, "entry", text.partition("\n")[0]


def texts(tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    """Yields line, kind and text of everything in a module that a user can see."""
    yield from shown_docstrings(tree)
    alone = {id(node) for node in documented(tree)}

    def walk(node: ast.AST, kind: str) -> Iterator[tuple[int, str, str]]:
        if id(node) in alone or (isinstance(node, ast.keyword) and node.arg in SETTINGS):
            return
        if isinstance(node, ast.Raise):
            kind = "error"
        elif isinstance(node, ast.Call) and kind == "text":
            name = called(node)
            if name in NOT_SHOWN:
                return
            kind = "print" if name in PRINTERS else "help" if name in HELPED else kind
        text = written(node)
        if text is not None:
            if len(text.split()) >= WORDS[kind]:
                yield getattr(node, "lineno", 0), kind, text
            return
        for child in ast.iter_child_nodes(node):
            yield from walk(child, kind)

    yield from walk(tree, "text")


def printed_lines() -> list[Printed]:
    """Returns every text of the four packages, in the order of files and lines."""
    found = [
        (path.relative_to(ROOT), line, kind, text)
        for path in MODULES
        for line, kind, text in sorted(set(texts(tree_of(path))))
    ]
    return [Printed(f"{path}:{line}", kind, " ".join(text.split())) for path, line, kind, text in found]


if __name__ == "__main__":
    for one in printed_lines():
        print(f"{one.place}: {one.kind}: {one.text}")
