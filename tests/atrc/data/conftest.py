"""Packs that a test may spoil."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def pack(pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the module's ``pristine`` pack, and an empty cache."""
    monkeypatch.setenv("ATRC_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copytree(pristine, tmp_path / pristine.name))
