"""What it costs to import ``strategies``, and to list what it has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import strategies

ROOT = Path(__file__).parents[2]
MODULES = [path for path in sorted((ROOT / "strategies").rglob("*.py")) if path != ROOT / "strategies/__init__.py"]
HEAVY = ("torch", "optuna", "nni", "sklearn", "scipy", "pandas", "matplotlib", "lightning", "pytorch_lightning")


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
