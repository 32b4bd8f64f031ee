"""Sets the number of threads of a run, and uses it. A run repeats to the bit with the same number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

__all__ = ["side_by_side", "threads_of_a_run"]

T = TypeVar("T")
R = TypeVar("R")


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


def side_by_side(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Calls a function for every item on torch's number of threads, which helps where it leaves Python's lock."""
    threads = min(torch.get_num_threads(), len(items))
    if threads < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, items))
