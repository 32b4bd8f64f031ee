"""What a command has to wait for: nothing heavy, unless it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "numpy", "scipy", "pandas", "matplotlib", "sklearn", "torchmetrics", "optuna", "nni")
COMMAND = """
import sys
from atrc.cli import main
try:
    main()
except SystemExit as left:
    print("status", left.code)
"""


def loaded(code: str, *arguments: str) -> tuple[set[str], str]:
    """Which of `HEAVY` a fresh interpreter has imported after this code, and what it printed."""
    code += f"\nimport sys; print('loaded', *(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:]), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["--help"], "experiment"),
        (["--version"], "atrc "),
        (["presets"], "rooms4"),
        (["train", "--help"], "--model"),
        (["trian"], "No such command 'trian'"),
        (["train", "demo", "--sedes", "1"], "--sedes"),
        (["train"], "Missing argument"),
        (["train", "dmeo"], "did you mean 'demo'"),
        (["search", "demo", "-s", "serach.steps=1"], "serach"),
        (["analyze", "runs", "--formats", "pgn"], "did you mean 'png'"),
    ],
)
def test_help_lists_and_usage_errors_load_nothing_heavy(command: list[str], said: str) -> None:
    found, text = loaded(COMMAND, *command)
    assert said in text
    assert found == set()


def test_completion_loads_nothing_heavy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"_ATRC_COMPLETE": "complete_bash", "COMP_WORDS": "atrc train roo", "COMP_CWORD": "2"}.items():
        monkeypatch.setenv(name, value)
    code = COMMAND.replace("import sys\n", "import sys\nsys.argv[0] = 'atrc'\n", 1)
    found, text = loaded(code)
    assert "rooms4" in text
    assert found == set()


def test_strategies_are_listed_with_torch_alone() -> None:
    found, text = loaded(COMMAND, "strategies")
    assert "optuna_tpe" in text
    assert found == {"torch", "numpy"}


@pytest.mark.parametrize("module", ["searchspace", "atrc", "atrc.config", "atrc.cli"])
def test_packages_that_need_no_torch(module: str) -> None:
    assert loaded(f"import {module}")[0] == set()


def test_metrics_are_loaded_where_something_is_measured() -> None:
    assert "torchmetrics" not in loaded("import atrc.tasks, atrc.training, atrc.experiments")[0]
    assert "torchmetrics" in loaded("from atrc.tasks import Depth; Depth().metric()")[0]


def test_runs_do_not_load_the_compiler_of_torch(tmp_path: Path, config_file: Path) -> None:
    """It takes more than a second of every process, and nothing is compiled."""
    code = COMMAND + "\nprint('compiler', 'torch._dynamo' in sys.modules)"
    for kind in (["search"], ["train", "--model", "all-local"]):
        command = [
            *kind,
            str(config_file),
            "--seeds",
            "0",
            "--out",
            str(tmp_path / kind[0]),
            "--quiet",
            "--jobs",
            "1",
        ]
        _, text = loaded(code, *command)
        assert "status 0" in text
        assert "compiler False" in text
