"""The rules of the house: who may import whom, and that every module says what it is."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from import_graph import MODULES, PACKAGES, ROOT, arrows, between, circles, climbing, imports, imports_of, tree_of

MAY_IMPORT: dict[str, set[str]] = {
    "searchspace": set(),
    "strategies": {"searchspace"},
    "atrc": {"searchspace", "strategies"},
    "analysis": {"searchspace", "strategies", "atrc"},
}
ROOMS: dict[str, tuple[str, ...]] = {
    "searchspace": (
        *("answers", "released", "yaml_form", "yaml_text", "supernet", "selection", "consensus", "costs"),
        *("benchmark", "toy", "cp", "bmtas", "space", "registry", "calls", "paths", "genotype"),
        *("table", "text", "errors"),
    ),
    "strategies": (
        *("testing", "_search", "_trials", "_training", "_inherited", "_data", "_events"),
        *("adapters", "one_shot", "multi_trial"),
        *("_categorical", "_step", "_clipping", "_statistics", "_optimizers", "_budget", "_knobs", "_base"),
    ),
    "atrc": (
        *("_former", "__main__", "cli", "bench", "testing", "problem", "experiments", "training", "inference"),
        *("cpbench", "setup", "supernets", "networks"),
        *("trackers", "data", "necks", "distillation", "tasks", "heads", "costs", "contexts", "metrics"),
        *("engines", "runs", "backbones", "config", "layers", "resizing", "products", "machine", "_version"),
        "_moved",
    ),
    "analysis": (
        *("report", "paper", "screen", "overview", "comparison", "strategy_recovery"),
        *("table_report", "landscape", "cpbench"),
        *("recovery_report", "planted_matrix", "bench", "resources", "notes", "views", "output"),
        *("lookup", "figures", "differences", "sampled", "sample_spread", "worth", "regret", "power"),
        *("pareto", "significance", "predictions"),
        *("trajectory", "correlation", "trees", "agreement", "recovery", "source_importance", "importance"),
        *("attention", "blocks", "genotypes", "multitask", "spaces", "load", "recipes", "tables", "noise"),
        "bootstrap",
    ),
}
"""The rooms of every package: modules and folders. A room imports only rooms that come later."""
LONGEST = 400
"""Lines of a module. One that is longer has its reason here."""
LONGER = {
    "atrc/data/transforms.py": "all augmentations, which share a view of a sample",
}


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
        ("d.e.f", False, False),
        ("p.q.g", False, False),
        ("p.h.i", False, False),
        ("", False, False),
        ("k", False, True),
        ("l", False, False),
        ("m.n", True, False),
    }


def test_circles_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}) == {"b", "c"}
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == set()


def test_no_circle_between_modules() -> None:
    assert circles(arrows()) == set()


@pytest.mark.parametrize("folder", sorted({path.parent for path in MODULES}), ids=lambda f: str(f.relative_to(ROOT)))
def test_no_circle_between_the_modules_and_folders_of_a_folder(folder: Path) -> None:
    assert circles(between(".".join(folder.relative_to(ROOT).parts))) == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_a_room_imports_only_rooms_that_come_later(package: str) -> None:
    assert climbing(package, ROOMS[package]) == []


def test_modules_are_short() -> None:
    lengths = {str(p.relative_to(ROOT)): len(p.read_text(encoding="utf-8").splitlines()) for p in MODULES}
    assert {path for path, lines in lengths.items() if lines > LONGEST} == set(LONGER)


KNOW_OUR_SPACES = ("searchspace/", "analysis/views/", "atrc/supernets/_cp.py", "atrc/supernets/_bmtas.py")
"""Where our own spaces are known by name, and in the module that the contexts make up (`CONTEXTS_OF_A_SPACE`)."""
CONTEXTS_OF_A_SPACE = "atrc/distillation/_supergraph.py"


def test_a_space_of_ones_own_has_the_rights_of_ours() -> None:
    """Nothing else can treat them in another way."""
    names = re.compile(r"\b(?:CPSpace|BMTASSpace)\b")
    knowing = {str(p.relative_to(ROOT)) for p in MODULES if names.search(p.read_text(encoding="utf-8"))}
    elsewhere = {path for path in knowing if not path.startswith(KNOW_OUR_SPACES)}
    assert elsewhere == {CONTEXTS_OF_A_SPACE}


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


def test_the_analysis_trains_nothing() -> None:
    training = {module: to for module, to in arrows().items() if any(one.startswith("atrc.training") for one in to)}
    assert [module for module in training if module.startswith("analysis")] == []


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
DRIVER = {ROOT / "strategies" / "_trials.py", ROOT / "strategies" / "_step.py"}
STRATEGIES = [ROOT / "strategies" / part for part in ("one_shot", "multi_trial", "adapters")]


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
        "atrc/data/readable.py": "verdicts that it wrote itself",
        "atrc/machine/kernels.py": "sources of the package, and the processor's name",
        "atrc/runs/environment.py": "the processor's name",
        "atrc/machine/memory.py": "the process's memory",
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


def test_the_page_on_architecture_names_every_room() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w.]+)`", page)
    assert [room for room in ROOMS["atrc"] if room not in named and room != "__main__"] == []
