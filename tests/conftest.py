"""What has to be settled before any test imports torch, and figures that are quickly written."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator

import pytest

from searchspace.registry import forget

# Small tensors are fastest on one thread, and several test processes share the cores; subprocesses inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
if shutil.which("nvidia-smi") is None:
    # Triton reads it on import, and torch may import Triton at any time: its kernels are interpreted without a GPU.
    os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture(scope="module", autouse=True)
def _no_plugin_of_another_file() -> Iterator[None]:
    """What the tests of one file import as plugins, those of the next do not find in the registries."""
    modules = set(sys.modules)
    yield
    forget_plugins(modules)


@pytest.fixture
def no_plugin_left() -> Iterator[None]:
    """Forgets the plugins that a test imported: the next one may use their names again."""
    modules = set(sys.modules)
    yield
    forget_plugins(modules)


def forget_plugins(before: set[str]) -> None:
    """Forgets the plugins that were imported since."""
    for name in set(sys.modules) - before:
        if "plugin" in name:
            del sys.modules[name]
            forget(name)


@pytest.fixture(scope="session", autouse=True)
def _quick_figures() -> Iterator[None]:
    """Coarse pixels; and fonts in the PDFs that matplotlib need not parse as a whole, half a second each."""
    from analysis.figures import save

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(save, "DPI", 50)
        patch.setattr(save, "FONT_TYPE", 3)
        yield
