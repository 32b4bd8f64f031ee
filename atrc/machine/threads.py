"""Sets the number of threads of a run. A run repeats to the bit with the same number."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits

__all__ = ["threads_of_a_run"]


@contextmanager
def threads_of_a_run(number: int) -> Iterator[None]:
    """Makes torch, our kernels (which ask torch), BLAS and OpenMP use ``number`` threads within the context."""
    before = torch.get_num_threads()
    with threadpool_limits(limits=number):
        torch.set_num_threads(number)
        try:
            yield
        finally:
            torch.set_num_threads(before)
