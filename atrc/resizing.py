"""Bilinear resizing of maps, with a backward pass of two small matrix products.

Resizing is linear, and separate in rows and columns: ``y = A x B^T``. So its gradient is ``A^T g B``. Torch's own
backward pass visits one pixel after the other, three times slower on a CPU. On a GPU it adds in any order, so that
its results do not repeat to the bit; matrix products do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from atrc.machine.tensors import full_precision, kept_tensor

__all__ = ["resize"]


def resize(x: Tensor, size: Sequence[int]) -> Tensor:
    """Resizes ``(B, C, h, w)`` to ``size`` = (H, W), bilinearly with ``align_corners=False``.

    It takes a size and not a factor, because the maps of an odd image are not multiples of one another.
    """
    height, width = (int(side) for side in size)
    if tuple(x.shape[-2:]) == (height, width):
        return x
    if x.requires_grad and torch.is_grad_enabled() and not torch.compiler.is_compiling():
        out: Tensor = _Resize.apply(x, (height, width))
        return out
    return _resized(x, (height, width))


def _resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    return functional.interpolate(x, size=size, mode="bilinear", align_corners=False)


class _Resize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, size: tuple[int, int]) -> Tensor:
        ctx.small, ctx.large = tuple(x.shape[-2:]), size
        plain = x.is_contiguous() and x.dtype in (torch.float, torch.double)
        if not plain or torch.is_autocast_enabled(x.device.type):
            return _resized(x, size)
        rows, columns = _matrices(ctx, x)
        return rows @ (x @ columns.T)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        wide = full_precision(grad)
        rows, columns = _matrices(ctx, wide)
        with torch.autocast(grad.device.type, enabled=False):
            return (rows.T @ (wide @ columns)).to(grad.dtype), None


def _matrices(ctx: Any, like: Tensor) -> list[Tensor]:
    """Returns A and B."""
    sides = zip(ctx.large, ctx.small, strict=True)
    return [_weights(large, small, like.dtype, like.device) for large, small in sides]


@kept_tensor(64)
def _weights(large: int, small: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Returns the weights ``(large, small)`` by which each new row is a mean of old rows."""
    rows = torch.eye(small, dtype=torch.double)[None, :, :, None]
    return _resized(rows, (large, 1))[0, :, :, 0].T.to(device, dtype)
