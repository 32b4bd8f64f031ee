"""The public names of the packages: they exist, they hide no module, and the light ones are light."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
TOPS = ("searchspace", "strategies", "atrc", "analysis")


def packages_below(name: str) -> Iterator[str]:
    """A package and every package in it, by full name; nothing is imported."""
    yield name
    for module in pkgutil.iter_modules([str(ROOT.joinpath(*name.split(".")))]):
        if module.ispkg:
            yield from packages_below(f"{name}.{module.name}")


PACKAGES = [package for top in TOPS for package in packages_below(top)]


def hidden_modules(package: ModuleType) -> list[str]:
    """Modules of a package whose name is that of something else in its namespace."""
    hidden = []
    for module in pkgutil.iter_modules(package.__path__):
        if module.name == "__main__":  # to import it is to run the program
            continue
        try:
            imported = importlib.import_module(f"{package.__name__}.{module.name}")
        except ModuleNotFoundError as error:
            if str(error.name).partition(".")[0] in TOPS:
                raise
            continue  # it needs what is not installed here, e.g. triton
        if getattr(package, module.name) is not imported:
            hidden.append(module.name)
    return hidden


def run_python(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_walk_finds_packages_of_every_depth() -> None:
    assert {*TOPS, "atrc.contexts.local_attention", "analysis.report", "strategies.testing"} <= set(PACKAGES)


@pytest.mark.parametrize("name", PACKAGES)
def test_every_name_in_all_exists_once(name: str) -> None:
    package = importlib.import_module(name)
    public = getattr(package, "__all__", [])
    assert [one for one in public if not hasattr(package, one)] == []
    assert len(set(public)) == len(public)


@pytest.mark.parametrize("name", PACKAGES)
def test_no_name_hides_a_module(name: str) -> None:
    assert hidden_modules(importlib.import_module(name)) == []


def test_a_hidden_module_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "hiding_package"
    folder.mkdir()
    (folder / "trees.py").write_text("def trees(): pass\n")
    (folder / "leaves.py").write_text("def leaves(): pass\n")
    (folder / "__init__.py").write_text("from hiding_package.trees import trees\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert hidden_modules(importlib.import_module("hiding_package")) == ["trees"]


@pytest.mark.parametrize("name", ["analysis", "atrc"])
def test_names_that_are_loaded_late_are_listed(name: str) -> None:
    package = importlib.import_module(name)
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = package.no_such_name


def test_modules_of_analysis_are_there_after_its_import() -> None:
    names = ("agreement", "bootstrap", "notes", "source_importance", "trees")
    code = f"import analysis; print(all(getattr(analysis, n).__name__ == f'analysis.{{n}}' for n in {names}))"
    assert run_python(code) == "True"


@pytest.mark.parametrize("module", ["atrc", "atrc.config", "analysis", "searchspace"])
def test_light_modules_do_not_load_torch(module: str) -> None:
    code = f"import sys, {module}; print([m for m in ('torch', 'matplotlib', 'optuna') if m in sys.modules])"
    assert run_python(code) == "[]"


@pytest.mark.parametrize("top", TOPS)
def test_packages_are_typed_for_their_users(top: str) -> None:
    assert (ROOT / top / "py.typed").is_file()


def test_paths_may_be_strings(tmp_path: Path) -> None:
    from analysis import paper_table

    table = paper_table(1, "rooms", runs=str(tmp_path))
    assert table.commands == paper_table(1, "rooms", runs=tmp_path).commands
    assert str(tmp_path) in table.commands[0]
