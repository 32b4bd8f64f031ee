"""Who imports whom: the imports of every module of the four packages, and what follows from them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("searchspace", "strategies", "atrc", "analysis")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


@dataclass(frozen=True)
class Import:
    """One imported name, in full: a module, or a name of a module. Empty if a relative import leaves its package.

    Attributes:
        lazy: Inside a function.
        typing_only: Under ``if TYPE_CHECKING``.
    """

    name: str
    line: int
    lazy: bool
    typing_only: bool

    @property
    def package(self) -> str:
        return self.name.split(".")[0]


def imports(tree: ast.AST, package: tuple[str, ...]) -> Iterator[Import]:
    """Every import of a module.

    Args:
        tree: Its syntax tree.
        package: The package that holds it, against which relative imports count.
    """

    def walk(node: ast.AST, lazy: bool, typing_only: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, lazy, typing_only)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            for alias in node.names:
                full = ".".join((*above, *filter(None, [node.module]), alias.name))
                escaped = node.level and not above
                yield Import("" if escaped else full, node.lineno, lazy, typing_only)
        lazy = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            for statement in node.body:
                yield from walk(statement, lazy, True)
            for statement in node.orelse:
                yield from walk(statement, lazy, typing_only)
        else:
            for child in ast.iter_child_nodes(node):
                yield from walk(child, lazy, typing_only)

    return walk(tree, False, False)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports_of(path: Path) -> list[Import]:
    return list(imports(tree_of(path), path.relative_to(ROOT).parent.parts))


def name_of(path: Path) -> str:
    """``atrc.data`` for ``atrc/data/__init__.py``, ``atrc.data.cache`` for ``atrc/data/cache.py``."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def arrows() -> dict[str, set[str]]:
    """Module -> the modules that it imports, in functions too, but not for type checkers alone."""
    names = {name_of(path) for path in MODULES}

    def module(name: str) -> str | None:
        """The module that holds an imported name, or is it."""
        return next((one for one in (name, name.rpartition(".")[0]) if one in names), None)

    return {
        name_of(path): {
            to
            for one in imports_of(path)
            if not one.typing_only and (to := module(one.name)) is not None and to != name_of(path)
        }
        for path in MODULES
    }


def between(folder: str) -> dict[str, set[str]]:
    """Child of a folder -> its other children that it imports. A child is a module, or a folder as a whole."""

    def child(module: str) -> str | None:
        return module.removeprefix(f"{folder}.").split(".")[0] if module.startswith(f"{folder}.") else None

    found: dict[str, set[str]] = {}
    for module, to in arrows().items():
        if (here := child(module)) is not None:
            others = {there for one in to if (there := child(one)) is not None}
            found.setdefault(here, set()).update(others - {here})
    return found


def circles(graph: Mapping[str, Iterable[str]]) -> set[str]:
    """The nodes of a graph that are in a circle, or lie between two circles; empty where there is no circle."""
    left = {node: set(to) & set(graph) for node, to in graph.items()}
    while True:
        reached = set().union(*left.values()) if left else set()
        ends = {node for node, to in left.items() if not to or node not in reached}
        if not ends:
            return set(left)
        left = {node: to - ends for node, to in left.items() if node not in ends}


def climbing(package: str, rooms: Iterable[str]) -> list[str]:
    """What breaks the order of a package's rooms: ``"costs -> networks"``, or a room that is not listed."""
    order = {room: place for place, room in enumerate(rooms)}
    graph = between(package)
    strangers = sorted((set(graph) | set(order)) - (set(graph) & set(order)))
    wrong = sorted(
        f"{here} -> {there}"
        for here, to in graph.items()
        for there in to
        if here in order and there in order and order[there] < order[here]
    )
    return [*(f"{room}: listed and not there, or there and not listed" for room in strangers), *wrong]
