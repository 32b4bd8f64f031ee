"""Running command lines."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from atrc.cli import main

__all__ = ["Command", "Said"]


class Said(NamedTuple):
    """What came of a command: its exit status, and what it said on stdout and stderr."""

    status: int
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture
def atrc(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Runs a command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")

    def call(*arguments: str | Path) -> Said:
        monkeypatch.setattr(sys, "argv", ["atrc", *map(str, arguments)])
        with pytest.raises(SystemExit) as exited:
            main()
        captured = capsys.readouterr()
        return Said(int(exited.value.code or 0), captured.out, captured.err)

    return call
