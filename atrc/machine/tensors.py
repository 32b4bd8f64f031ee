"""Tensors that are made once and kept, and the precision of sums."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec

import torch
from torch import Tensor

__all__ = ["full_precision", "kept_tensor"]

P = ParamSpec("P")


def full_precision(x: Tensor) -> Tensor:
    """Converts half precision to single precision, because half-precision sums over an image lose most digits."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def kept_tensor(number: int) -> Callable[[Callable[P, Tensor]], Callable[P, Tensor]]:
    """Decorates a function that makes a tensor from hashable arguments: the last tensors are kept.

    They are made outside inference mode, since a later training step could not use them otherwise. Under a tracer
    nothing is kept, since tensors that are made there must not outlive it.

    Args:
        number: Number of tensors that are kept.
    """

    def decorate(make: Callable[P, Tensor]) -> Callable[P, Tensor]:
        outside = torch.inference_mode(False)(make)
        kept = lru_cache(maxsize=number)(outside)

        @wraps(make)
        def found(*args: P.args, **named: P.kwargs) -> Tensor:
            return (outside if torch.compiler.is_compiling() else kept)(*args, **named)  # type: ignore[arg-type]

        return found

    return decorate
