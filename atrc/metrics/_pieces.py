"""Counts over maps, in pieces that fit into a processor's cache."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

__all__ = ["histogram", "pieces"]

_NUMBERS = 2**17
"""Numbers of each map that are read at once by one thread: all that a metric makes of them stays in the cache."""


def pieces(*maps: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yields the same pixels of several maps, piece by piece; on a GPU all at once, where each call has its price.

    A whole batch in double precision is written to memory, and read from it, by every operator.

    Args:
        maps: ``(..., N)`` each, pixels last, on one device.
    """
    first = maps[0]
    if first.device.type != "cpu":
        yield maps
        return
    channels = max(1, first.numel() // max(1, first.shape[-1]))
    width = max(1, _NUMBERS * torch.get_num_threads() // channels)
    yield from zip(*(of.split(width, dim=-1) for of in maps), strict=True)


def histogram(numbers: Tensor, bins: int) -> Tensor:
    """Returns ``(bins,)`` counts, int64, of whole numbers ``(N,)`` from 0 to ``bins``; the last one is left out.

    ``torch.bincount`` would wait on a GPU for the largest number.
    """
    return numbers.new_zeros(bins + 1).scatter_add_(0, numbers, torch.ones_like(numbers))[:bins]
