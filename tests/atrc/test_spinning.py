"""Idle threads give up their core soon, unless the environment says otherwise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from atrc.machine.spinning import spin_briefly


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, None)],
)
def test_the_environment_decides(
    given: dict[str, str], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    spin_briefly()
    assert os.environ.get("GOMP_SPINCOUNT") == expected
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)


def test_a_command_says_so_before_torch_is_loaded() -> None:
    """An OpenMP library reads its environment when it is loaded, and never again."""
    code = (
        "import os, sys, atrc.machine.spinning as spinning\n"
        "before = spinning.spin_briefly\n"
        "spinning.spin_briefly = lambda: (print('torch' in sys.modules), before())\n"
        "sys.argv = ['atrc', '--version']\n"
        "from atrc.cli import run\n"
        "run()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == "False"
