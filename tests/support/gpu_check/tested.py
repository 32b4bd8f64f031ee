"""The device of the tests in ``tests/gpu``, and the marks that they carry."""

from __future__ import annotations

import os

import pytest
import torch

__all__ = ["DEVICE", "NEEDS_DEVICE"]

_NAMED = torch.device(os.environ.get("ATRC_TEST_DEVICE", "cuda"))
DEVICE = torch.device("cuda", _NAMED.index or 0) if _NAMED.type == "cuda" else _NAMED
"""A GPU, unless the check itself is tried on a CPU."""
NEEDS_DEVICE = [
    pytest.mark.cuda,
    pytest.mark.skipif(
        DEVICE.type == "cuda" and not torch.cuda.is_available(), reason="needs a GPU (torch sees no CUDA device)"
    ),
]
