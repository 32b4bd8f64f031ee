"""What has to be settled before any test imports torch, and figures that are quickly written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

# Small tensors are fastest on one thread, and several test processes share the cores; subprocesses inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
if shutil.which("nvidia-smi") is None:
    # Triton reads it on import, and torch may import Triton at any time: its kernels are interpreted without a GPU.
    os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture(scope="session", autouse=True)
def _quick_figures() -> Iterator[None]:
    """Coarse pixels; and fonts in the PDFs that matplotlib need not parse as a whole, half a second each."""
    from analysis.figures import save

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(save, "DPI", 50)
        patch.setattr(save, "FONT_TYPE", 3)
        yield
