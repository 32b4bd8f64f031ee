"""The device of the tests in ``tests/gpu``, the marks that they carry, and a check that nothing waits for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

__all__ = ["DEVICE", "NEEDS_DEVICE", "no_waiting"]

_NAMED = torch.device(os.environ.get("ATRC_TEST_DEVICE", "cuda"))
DEVICE = torch.device("cuda", _NAMED.index or 0) if _NAMED.type == "cuda" else _NAMED
"""A GPU, unless the check itself is tried on a CPU."""
NEEDS_DEVICE = [
    pytest.mark.cuda,
    pytest.mark.skipif(
        DEVICE.type == "cuda" and not torch.cuda.is_available(), reason="needs a GPU (torch sees no CUDA device)"
    ),
]


@contextmanager
def no_waiting() -> Iterator[None]:
    """An error if the processor waits for the GPU: a copy to it, or a value that is read back."""
    if DEVICE.type != "cuda":
        yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")
