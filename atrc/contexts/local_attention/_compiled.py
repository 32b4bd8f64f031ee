"""Local attention on a CPU: a kernel in C that stores the similarities of one row at a time.

The kernel (`kernel.c`) computes one row of queries at a time; the key rows that it reads fit into the cache. The
backward pass does not keep the similarities. It computes them again from queries, keys and the log-sum-exp of the
forward pass, as in FlashAttention (Dao et al., NeurIPS 2022).

Results do not depend on the number of threads.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from atrc.machine.arithmetic import tell_flops
from atrc.machine.kernels import compiles, run_kernel

__all__ = ["kernel_works", "local_attention_compiled"]

_BAND = 16
"""Number of image rows that a thread computes at a time.

It changes the last digits of results; the number of threads does not."""

_KERNEL = Path(__file__).with_name("kernel.c")


def local_attention_compiled(
    q_BdHW: Tensor, k_BdHW: Tensor, v_BeHW: Tensor, *, window: int, border: str, order: Tensor | None = None
) -> Tensor:
    """Computes `atrc.contexts.local_attention.local_attention` for CPU tensors of float32 or float64.

    Args:
        q_BdHW: Queries.
        k_BdHW: Keys.
        v_BeHW: Values.
        window: See `local_attention`.
        border: See `local_attention`.
        order: ``(B,)`` permutation: the queries of image b attend to the keys of image ``order[b]``. None: to those
            of image b.

    Raises:
        InputError: There is no C compiler.
    """
    out: Tensor = _LocalAttention.apply(q_BdHW, k_BdHW, v_BeHW, window, border, order)
    return out


def kernel_works() -> bool:
    """Returns whether the kernel compiles on this machine, by compiling it."""
    return compiles(_KERNEL)


class _LocalAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, window: int, border: str, order: Tensor | None) -> Tensor:
        q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
        out, log_sum = torch.empty_like(v), torch.empty_like(q[:, 0])
        pairs, d, e = q[:, 0].numel() * window**2, q.shape[1], v.shape[1]
        tell_flops(2 * pairs * (d + e))  # two products
        _run("forward", (), q, v, window, border, (order, q, k, v, out, log_sum))
        ctx.window, ctx.border, ctx.order = window, border, order
        ctx.save_for_backward(q, k, v, out, log_sum)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, out, log_sum = ctx.saved_tensors
        grads = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        tensors = ctx.order, q, k, v, out, log_sum, grad.contiguous(), *grads
        pairs, d, e = q[:, 0].numel() * ctx.window**2, q.shape[1], v.shape[1]
        tell_flops(2 * pairs * (3 * d + 2 * e))  # the similarities again, and two gradients for each product
        for parity in (0, 1):
            _run("backward", (ctypes.c_int(parity),), q, v, ctx.window, ctx.border, tensors)
        return *grads, None, None, None


def _run(
    name: str,
    extra: tuple[ctypes.c_int, ...],
    q: Tensor,
    v: Tensor,
    window: int,
    border: str,
    tensors: tuple[Tensor | None, ...],
) -> None:
    """Calls a function of the kernel, whose threads share the bands."""
    is_float = q.dtype == torch.float32
    (B, d, H, W), e = q.shape, v.shape[1]
    # a band needs at least twice the radius in rows, so that every other band can run at the same time
    band = max(_BAND, window - 1)
    small = [ctypes.c_int(number) for number in (d, e, window, border == "mask")]
    scale = (ctypes.c_float if is_float else ctypes.c_double)(d**-0.5)
    sizes = *extra, B, *small, H, W, band, scale
    run_kernel(_KERNEL, f"{name}_{'float' if is_float else 'double'}", torch.get_num_threads(), sizes, tensors)
