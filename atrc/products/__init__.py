"""Matrix products with maps: few channels, many pixels, many maps.

Torch's products on a CPU are made for large matrices. On these they reach a third to a half of the speed of our
kernel (`kernel.c`), which computes on a CPU in single or double precision, if there is a C compiler. Elsewhere
torch's products do the work. Results do not depend on the number of threads.

Shapes: P pixels, one after the other in memory; k, m, r, c channels; ``...`` any dimensions of maps, of any strides.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from atrc.machine.arithmetic import tell_flops
from atrc.machine.kernels import compiles, run_kernel
from atrc.machine.tensors import kept_tensor

__all__ = ["multiply", "outer"]

_KERNEL = Path(__file__).with_name("kernel.c")
_TYPES = {torch.float32: "float", torch.float64: "double"}
_SMALL = 1 << 20
"""Number of multiplications for which other threads are not worth their start."""


def multiply(w: Tensor, x: Tensor, out: Tensor | None = None, *, add: bool = False, relu: bool = False) -> Tensor:
    """Multiplies weights with maps.

    Args:
        w: ``(..., m, k)``, of any strides. Dimensions that are missing or of size 1 stand for the same weights.
        x: ``(..., k, P)``.
        out: ``(..., m, P)``, where the result goes; by default a new tensor.
        add: Whether the product is added to what is in ``out``.
        relu: Whether negative results become 0.

    Returns:
        ``(..., m, P)``.
    """
    if out is None:
        out = x.new_empty(*x.shape[:-2], w.shape[-2], x.shape[-1])
    if w.shape[:-2] != x.shape[:-2]:
        w = w.expand(*x.shape[:-2], -1, -1)
    if w.dtype != x.dtype or not _runs(x, out):
        product = torch.matmul(w, x)
        if add:
            product += out
        return out.copy_(product.relu_() if relu else product)
    m, k = w.shape[-2:]
    w_at, x_at, out_at = _starts(w), _starts(x), _starts(out)
    sizes = len(x_at), m, k, x.shape[-1], w.stride(-2), w.stride(-1), int(add), int(relu)
    _call("weighted", x.dtype, len(x_at) * m * k * x.shape[-1], sizes, (w_at, x_at, out_at, w, x, out))
    return out


def outer(a: Tensor, b: Tensor) -> Tensor:
    """Multiplies maps channel by channel, summed over pixels and images: ``sum of A B^T``.

    Args:
        a: ``(..., B, r, P)``.
        b: ``(..., B, c, P)``.

    Returns:
        ``(..., r, c)``.
    """
    (images, r, P), c = a.shape[-3:], b.shape[-2]
    if not _runs(a, b):
        return torch.matmul(a, b.transpose(-1, -2)).sum(-3)
    out = a.new_empty(*a.shape[:-3], r, c)
    a_at, b_at = _starts(a), _starts(b)
    sizes = len(a_at) // images, images, r, c, P
    _call("products", a.dtype, len(a_at) * r * c * P, sizes, (a_at, b_at, a, b, out))
    return out


def _runs(*maps: Tensor) -> bool:
    """Returns whether the kernel can compute with maps."""
    first = maps[0]
    return (
        first.device.type == "cpu"
        and first.dtype in _TYPES
        and all(x.dtype == first.dtype and x.device == first.device for x in maps)
        and all(x.stride(-1) == 1 and x.stride(-2) == x.shape[-1] for x in maps)
        and not torch.compiler.is_compiling()
        and compiles(_KERNEL)
    )


def _call(name: str, dtype: torch.dtype, work: int, sizes: tuple[int, ...], tensors: tuple[Tensor, ...]) -> None:
    tell_flops(2 * work)
    threads = 1 if work < _SMALL else torch.get_num_threads()
    run_kernel(_KERNEL, f"{name}_{_TYPES[dtype]}", threads, sizes, tensors)


def _starts(x: Tensor) -> Tensor:
    """Returns the number of elements from the start of a tensor to each of its maps."""
    return _starts_of(x.shape[:-2], x.stride()[:-2])


@kept_tensor(1024)
def _starts_of(sizes: Any, strides: Any) -> Tensor:
    starts = torch.zeros(1, dtype=torch.int64)
    for size, stride in zip(sizes, strides, strict=True):
        starts = (starts[:, None] + torch.arange(size) * stride).flatten()
    return starts
