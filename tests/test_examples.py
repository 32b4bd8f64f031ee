"""The scripts of docs/examples, each run alone from an empty folder, as a newcomer runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
SAY = {
    "own_supernet.py": "found: {'layer0': ",
    "own_space.py": "accuracy of the found cell on test images: 0.",
    "own_objective.py": "genotypes: 0.9",
    "atrc_module.py": "in 60 steps",
    "experiment.py": "which predicts {'semseg': (32, 48), 'depth': (32, 48)}",
}


def last_line(script: str, folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, EXAMPLES / script, *arguments], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()[-1]


def test_every_example_is_run() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAY)


@pytest.mark.parametrize("script", SAY)
def test_an_example_ends_with_its_result(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATRC_CACHE", str(tmp_path / "cache"))
    assert SAY[script] in last_line(script, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["evolution", "spos", "gdas", "optuna_tpe", "nni_tpe", "hyperband"])
def test_any_strategy_searches_the_own_space(strategy: str, tmp_path: Path) -> None:
    assert SAY["own_space.py"] in last_line("own_space.py", tmp_path, strategy)
