"""What has to be settled before any test imports torch."""

from __future__ import annotations

import os
import shutil

# Small tensors are fastest on one thread, and several test processes share the cores; subprocesses inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
if shutil.which("nvidia-smi") is None:
    # Triton reads it on import, and torch may import Triton at any time: its kernels are interpreted without a GPU.
    os.environ.setdefault("TRITON_INTERPRET", "1")
