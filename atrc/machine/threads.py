"""Threads of a run: a run repeats to the bit on the same number of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits

__all__ = ["threads_of_a_run"]


@contextmanager
def threads_of_a_run(number: int) -> Iterator[None]:
    """Within it torch, our kernels (which ask torch), BLAS and OpenMP use ``number`` threads."""
    before = torch.get_num_threads()
    with threadpool_limits(limits=number):
        torch.set_num_threads(number)
        try:
            yield
        finally:
            torch.set_num_threads(before)
