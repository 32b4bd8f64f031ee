"""Counts the operators and the arithmetic of code while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from atrc.machine.arithmetic import listening

__all__ = ["Counts", "counting"]

_VIEWS = {"_unsafe_view", "empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}
"""Operators that compute nothing, although torch does not call them views."""


class Counts(TorchDispatchMode):
    """A context that counts what runs in it; see `counting`, which counts our kernels, too.

    Attributes:
        operators: Number of operators that torch dispatched and that read or wrote values: forward, backward and
            optimiser.
        views: Number of the others, which only look at memory in another way, or allocate it.
        flops: Number of floating-point operations of matrix products and convolutions, as torch's own counter has
            them, and of our kernels in C: products with maps, and local attention with all neighbours of a window
            for every pixel, also at the border. A multiply-add is two. Element-wise operators and reductions count
            nothing, nor do kernels in Triton.
    """

    def __init__(self, wanted: Callable[[], bool]) -> None:
        from torch.utils.flop_counter import flop_registry  # here: it may import Triton, for a second

        super().__init__()
        self.operators = 0
        self.views = 0
        self.flops = 0
        self._wanted = wanted
        self._formulas = flop_registry

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Tells torch that it need not keep the compiler out of this class, which would import it."""
        return False

    def add(self, flops: int) -> None:
        """Adds floating-point operations of a kernel."""
        if self._wanted():
            self.flops += flops

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if self._wanted():
            if func.is_view or func.overloadpacket.__name__ in _VIEWS:
                self.views += 1
            else:
                self.operators += 1
            formula = self._formulas.get(func.overloadpacket)
            if formula is not None:
                self.flops += formula(*args, **kwargs, out_val=result)
        return result


@contextmanager
def counting(wanted: Callable[[], bool] = lambda: True) -> Iterator[Counts]:
    """Counts operators and arithmetic of torch, and the arithmetic that our kernels tell.

    Args:
        wanted: Function that returns whether what runs now counts.
    """
    with Counts(wanted) as counts, listening(counts.add):
        yield counts
