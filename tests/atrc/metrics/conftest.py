"""Maps of lines, whose matches are counted by hand."""

from __future__ import annotations

import torch

__all__ = ["SIZE", "TWO_PIXELS", "column"]

SIZE = (24, 32)  # diagonal 40
TWO_PIXELS = 0.05  # of the diagonal


def column(*at: int) -> torch.Tensor:
    """``(1, H, W)`` map with vertical lines at these columns."""
    lines = torch.zeros(1, *SIZE)
    lines[:, :, list(at)] = 1
    return lines
