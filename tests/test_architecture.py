"""The rules of the house: who may import whom, and that every module says what it is."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT: dict[str, set[str]] = {
    "searchspace": set(),
    "strategies": {"searchspace"},
    "atrc": {"searchspace", "strategies"},
    "analysis": {"searchspace", "strategies", "atrc"},
}
MODULES = sorted(path for package in MAY_IMPORT for path in (ROOT / package).rglob("*.py"))


@dataclass(frozen=True)
class Import:
    """One imported module, by its full name.

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
            yield Import(".".join((*above, *filter(None, [node.module]))), node.lineno, lazy, typing_only)
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


def test_the_reader_of_imports_sees_what_it_must() -> None:
    source = """
import a.b, c
from d.e import f
from . import g
from ..h import i
from ... import j
if TYPE_CHECKING:
    import k
else:
    import l
def lazily():
    if True:
        from m import n
"""
    found = {(i.name, i.lazy, i.typing_only) for i in imports(ast.parse(source), ("p", "q"))}
    assert found == {
        ("a.b", False, False),
        ("c", False, False),
        ("d.e", False, False),
        ("p.q", False, False),
        ("p.h", False, False),
        ("", False, False),
        ("k", False, True),
        ("l", False, False),
        ("m", True, False),
    }


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_up_the_list_only(package: str) -> None:
    broken = []
    for path in MODULES:
        place = path.relative_to(ROOT)
        if place.parts[0] != package:
            continue
        allowed = MAY_IMPORT[package] | {package}
        for found in imports_of(path):
            if found.package not in MAY_IMPORT or found.package in allowed:
                continue
            # The command line shows analyses; it pays for their import only when one is asked for.
            if (
                place.parts[:2] == ("atrc", "cli")
                and found.package == "analysis"
                and (found.lazy or found.typing_only)
            ):
                continue
            broken.append(f"{place}:{found.line} imports {found.name}")
    assert broken == []


def test_a_search_space_does_not_need_torch() -> None:
    heavy = {"torch", "torchmetrics", "lightning", "nni", "optuna"}
    broken = [
        f"{path.relative_to(ROOT)}:{found.line} imports {found.name}"
        for path in MODULES
        if path.is_relative_to(ROOT / "searchspace")
        for found in imports_of(path)
        if found.package in heavy and not found.typing_only
    ]
    assert broken == []


def test_relative_imports_stay_inside_their_package() -> None:
    escaped = [
        f"{path.relative_to(ROOT)}:{found.line}"
        for path in MODULES
        for found in imports_of(path)
        if not found.package
    ]
    assert escaped == []


def test_no_module_is_a_drawer_for_leftovers() -> None:
    drawers = [path for path in MODULES if path.stem.strip("_") in {"utils", "util", "helpers", "misc", "common"}]
    assert drawers == []


DRIVES = {"anneal", "ask", "select", "tell"}
"""Calls that make a search go on; so does ``update()`` without arguments."""
DRIVER = {ROOT / "strategies" / "_search.py", ROOT / "strategies" / "_step.py"}
STRATEGIES = [ROOT / "strategies" / part for part in ("one_shot", "multi_trial", "adapters", "_base.py")]


def driving_calls(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, call) of everything that could drive a strategy. NumPy's `select` and bars' ``update()`` do not."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        owner, name = ast.unparse(node.func.value), node.func.attr
        given = bool(node.args or node.keywords)
        if (name in DRIVES and owner != "np") or (name == "update" and not given and owner.split(".")[-1] != "bar"):
            yield node.lineno, f"{owner}.{name}"


def test_nothing_drives_a_strategy_but_the_driver() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} {call}"
        for path in MODULES
        if path not in DRIVER and not any(path.is_relative_to(place) for place in STRATEGIES)
        for line, call in driving_calls(tree_of(path))
    ]
    assert found == []


def test_the_reader_of_driving_calls_sees_what_it_must() -> None:
    source = (
        "s.ask()\nself.strategy.tell(t, 1.0)\nx.update()\nd.update(a=1)\nbar.update()\nnp.select(a, b)\ns.select()"
    )
    assert [call for _, call in driving_calls(ast.parse(source))] == [
        "s.ask",
        "self.strategy.tell",
        "x.update",
        "s.select",
    ]


KNOWS_ANSWERS = {ROOT / "atrc" / "data", ROOT / "analysis"}
"""What was planted is known to datasets, and to those who count what was found."""


READERS = {
    "Image.open": {
        "atrc/data/decode.py": "the reader of photographs and labels",
        "atrc/data/cache.py": "maps that it wrote itself",
    },
    ".read_text": {
        "atrc/config/_load.py": "presets of the package",
        "analysis/paper/published.py": "tables of the package",
        "atrc/data/sift.py": "verdicts that it wrote itself",
        "atrc/kernels.py": "sources of the package, and the processor's name",
        "atrc/runs.py": "the processor's name",
        "atrc/training/memory.py": "the process's memory",
        "atrc/bench/_measure.py": "the process's memory",
    },
}
"""A way to read a file -> who may, and for what: guards stand in `atrc.data.decode` and `searchspace.text` alone."""


def readings(tree: ast.AST) -> set[str]:
    """Which of `READERS` a module calls."""
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return {way for way in READERS for call in calls if call.endswith(way)}


def test_one_reader_of_images_and_one_of_text() -> None:
    found = {way: set[str]() for way in READERS}
    for path in MODULES:
        for way in readings(tree_of(path)):
            found[way].add(str(path.relative_to(ROOT)))
    assert found == {way: set(of) for way, of in READERS.items()}


def test_the_reader_of_readings_sees_what_it_must() -> None:
    assert readings(ast.parse("Image.open(a)\nPath(file).read_text()")) == {"Image.open", ".read_text"}
    assert readings(ast.parse("text = read_text(path)\nImage.fromarray(a)")) == set()


def asks_for_an_answer(tree: ast.AST) -> bool:
    """Whether a module imports `Answer`, or calls a dataset's ``answer``."""
    return any(
        (isinstance(node, ast.alias) and node.name in {"Answer", "answer_of"})
        or (isinstance(node, ast.Attribute) and node.attr == "answer")
        for node in ast.walk(tree)
    )


def test_neither_networks_nor_strategies_know_what_was_planted() -> None:
    asking = {path for path in MODULES if asks_for_an_answer(tree_of(path))}
    assert asking, "the reader sees nobody"
    assert [str(path) for path in asking if not any(path.is_relative_to(place) for place in KNOWS_ANSWERS)] == []


SUITES = {"atrc": ROOT / "atrc" / "testing", "strategies": ROOT / "strategies" / "testing"}
"""Rooms for the tests of others."""


def test_nothing_rests_on_the_suites_and_they_need_no_test_framework() -> None:
    def inside(path: Path) -> bool:
        return any(path.is_relative_to(room) for room in SUITES.values())

    found = [(path, one) for path in MODULES for one in imports_of(path)]
    resting = [
        f"{path.relative_to(ROOT)}:{one.line} imports {one.name}"
        for path, one in found
        if not inside(path) and any(f"{one.name}.".startswith(f"{package}.testing.") for package in SUITES)
    ]
    assert resting == []
    assert [str(path) for path, one in found if inside(path) and one.package == "pytest"] == []


IMPORTS = re.compile(r"^\s*(?:from|import)\s+((?:searchspace|strategies|atrc|analysis)\b[\w.]*)(?:\s+import\s+(.*))?")
PRIVATE = re.compile(r"(?:^|[.\s(,])_[a-zA-Z]\w*")


def private_imports(text: str) -> list[str]:
    """Imports of this project's underscore modules and names, in code or in a page that has code."""
    found = map(IMPORTS.match, text.splitlines())
    return [line.group().strip() for line in found if line and any(map(PRIVATE.search, filter(None, line.groups())))]


def code_in_strings(path: Path) -> list[str]:
    """Texts of a test that are the code of somebody else: a plugin, a script."""
    nodes = ast.walk(tree_of(path))
    texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [text for text in texts if any(map(IMPORTS.match, text.splitlines()))]


def users_code() -> dict[str, list[str]]:
    """Where users' code is shown or played -> its texts."""
    places = {
        "examples": sorted((ROOT / "docs" / "examples").glob("*.py")),
        "pages": [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))],
    }
    found = {kind: [path.read_text(encoding="utf-8") for path in paths] for kind, paths in places.items()}
    books = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
    found["notebooks"] = ["".join(cell["source"]) for book in books for cell in book["cells"]]
    tests = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if path != Path(__file__)]
    found["tests"] = [text for path in tests for text in code_in_strings(path)]
    return found


def test_the_reader_of_private_imports_sees_what_it_must() -> None:
    seen = (
        "from atrc.tasks._depth import Depth",
        "import atrc._x.y",
        "from atrc.x import a, _b",
        "import strategies._a",
    )
    passed = (
        "from atrc.tasks import Depth",
        "from a._b import c",
        "x = _y",
        "import atrc.x as _x",
        "from atrc import a_b",
    )
    assert private_imports("\n".join([*seen, *passed])) == list(seen)


@pytest.mark.parametrize("kind", ["examples", "pages", "notebooks", "tests"])
def test_code_of_users_needs_public_names_alone(kind: str) -> None:
    texts = users_code()[kind]
    importing = [line for text in texts for line in text.splitlines() if IMPORTS.match(line)]
    assert len(importing) > 5, "the reader sees hardly any"
    assert [line for text in texts for line in private_imports(text)] == []


def test_every_test_is_collected() -> None:
    """pyproject.toml names the folders, in an order."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    named = [ROOT / place for place in settings["testpaths"]]
    tests = sorted((ROOT / "tests").rglob("test_*.py"))
    assert tests
    assert [str(path) for path in tests if not any(path.is_relative_to(place) for place in named)] == []


def test_every_module_says_what_it_is() -> None:
    # An empty __init__.py has nothing to say.
    silent = [str(p.relative_to(ROOT)) for p in MODULES if tree_of(p).body and not ast.get_docstring(tree_of(p))]
    assert silent == []
