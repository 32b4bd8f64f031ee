"""Who may import whom inside ``strategies``, and what it costs to import it and to list what it has."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import strategies

ROOT = Path(__file__).parents[2]
ROOMS = (
    "testing",
    "_search",
    "_trials",
    "_training",
    "_inherited",
    "_data",
    "_events",
    "adapters",
    "one_shot",
    "multi_trial",
    "_categorical",
    "_step",
    "_statistics",
    "_budget",
    "_knobs",
    "_base",
)
"""Modules and folders of ``strategies``. A room imports only rooms that come later."""
MODULES = [path for path in sorted((ROOT / "strategies").rglob("*.py")) if path != ROOT / "strategies/__init__.py"]
HEAVY = ("torch", "optuna", "nni", "sklearn", "scipy", "pandas", "matplotlib", "lightning", "pytorch_lightning")
LONGEST = 350


def imported(node: ast.AST) -> Iterator[str]:
    """Full names of the modules that are imported, in functions too, but not for type checkers alone."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from imported(child)


def room(parts: tuple[str, ...]) -> str:
    """The room of ``("strategies", "one_shot", "_darts")`` is ``"one_shot"``."""
    return parts[1]


def test_the_reader_of_imports_sees_what_it_must() -> None:
    source = "import a.b\nif TYPE_CHECKING:\n    import c\ndef f():\n    from d.e import f, g\nh = lambda: i\n"
    assert list(imported(ast.parse(source))) == ["a.b", "d.e.f", "d.e.g"]


def test_every_room_is_on_the_list() -> None:
    assert {room(path.relative_to(ROOT).with_suffix("").parts) for path in MODULES} == set(ROOMS)


def test_a_room_imports_only_rooms_that_come_later() -> None:
    climbing = []
    for path in MODULES:
        here = room(path.relative_to(ROOT).with_suffix("").parts)
        for name in imported(ast.parse(path.read_text(encoding="utf-8"))):
            if not name.startswith("strategies"):
                continue
            there = name.split(".")[1]
            if there not in ROOMS or (there != here and ROOMS.index(there) < ROOMS.index(here)):
                climbing.append(f"{path.relative_to(ROOT)} imports {name}")
    assert climbing == []


def test_modules_of_a_folder_are_in_no_circle() -> None:
    arrows = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): {
            name.rpartition(".")[0]
            for name in imported(ast.parse(path.read_text(encoding="utf-8")))
            if name.startswith("strategies.")
        }
        for path in MODULES
    }
    while free := [module for module, to in arrows.items() if not to & set(arrows)]:
        for module in free:
            del arrows[module]
    assert arrows == {}


def test_modules_are_short() -> None:
    lengths = {str(p.relative_to(ROOT)): len(p.read_text(encoding="utf-8").splitlines()) for p in MODULES}
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST} == {}


def loaded(code: str) -> set[str]:
    """Which of `HEAVY` a fresh interpreter has imported after this code."""
    code += f"\nimport sys; print(*(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["searchspace", "strategies", "strategies.multi_trial"])
def test_light_packages_do_not_load_torch(module: str) -> None:
    assert loaded(f"import {module}") == set()


def test_names_that_are_loaded_late_are_listed() -> None:
    assert set(strategies.__all__) <= set(dir(strategies))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = strategies.no_such_name


def test_most_multi_trial_strategies_are_built_without_torch() -> None:
    code = """
from searchspace import ToySpace
from strategies.multi_trial import *
space = ToySpace(choices=3, options=2)
for made in (ASHA, BANANAS, GeneticAlgorithm, GridSearch, Hyperband, LocalSearch, RandomSearch, RegularizedEvolution):
    strategy = made(space)
    strategy.tell(strategy.ask(), 1.0)
    strategy.genotype(), strategy.state_dict()
"""
    assert loaded(code) == set()


def test_strategies_are_listed_with_torch_alone() -> None:
    code = """
import strategies
for name in sorted(strategies.STRATEGIES):
    entry = strategies.STRATEGIES[name]
    entry.kind, entry.summary, entry.paper, entry.meets_constraints
    getattr(entry, "passes", None), getattr(entry, "active_paths", None)
assert {"darts", "evolution", "nni_tpe", "optuna_tpe"} <= set(strategies.STRATEGIES)
"""
    assert loaded(code) == {"torch"}


def test_every_module_of_strategies_needs_torch_at_most() -> None:
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in MODULES]
    assert len(names) > 40
    assert loaded("\n".join(f"import {name}" for name in names)) == {"torch"}
