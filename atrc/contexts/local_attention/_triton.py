"""Local attention on a GPU: kernels in Triton that store one tile of similarities at a time.

A program computes a square of 8 x 8 queries. It walks over the squares of keys that their windows reach, with a
running softmax. So every square of keys costs two small matrix products. The backward pass computes the similarities
again, as in FlashAttention (Dao et al., NeurIPS 2022): once by squares of queries, for the gradient of the queries,
and once by squares of keys, for the gradients of keys and values. So no two programs add to the same place, and
results are the same from run to run.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

__all__ = ["local_attention_triton"]

_TILE = 8


def local_attention_triton(q_BdHW: Tensor, k_BdHW: Tensor, v_BeHW: Tensor, *, window: int, border: str) -> Tensor:
    """Computes `local_attention` for float32, bfloat16 and float16; sums are kept in float32."""
    kind = q_BdHW.dtype
    out: Tensor = _LocalAttention.apply(q_BdHW, k_BdHW.to(kind), v_BeHW.to(kind), window, border)
    return out


class _LocalAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, window: int, border: str) -> Tensor:
        q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
        out, log_sum = torch.empty_like(v), q.new_empty((len(q), *q.shape[2:]), dtype=torch.float32)
        _forward[_grid(q)](q, k, v, out, log_sum, **_sizes(q, v, window, border))
        ctx.window, ctx.border = window, border
        ctx.save_for_backward(q, k, v, out, log_sum)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, out, log_sum = ctx.saved_tensors
        grad = grad.contiguous()
        # the softmax subtracts this from every weight's gradient: sum_j P_j dP_j = out . grad
        common = (out.float() * grad.float()).sum(1)
        dq, dk, dv = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
        sizes = _sizes(q, v, ctx.window, ctx.border)
        _backward_queries[_grid(q)](q, k, v, grad, log_sum, common, dq, **sizes)
        _backward_keys[_grid(q)](q, k, v, grad, log_sum, common, dk, dv, **sizes)
        return dq, dk, dv, None, None


def _grid(q: Tensor) -> tuple[int, int]:
    """Returns (number of tiles of an image, number of images)."""
    return triton.cdiv(q.shape[2], _TILE) * triton.cdiv(q.shape[3], _TILE), len(q)


def _sizes(q: Tensor, v: Tensor, window: int, border: str) -> dict[str, Any]:
    _, d, H, W = q.shape
    e = v.shape[1]
    return {
        "H": H,
        "W": W,
        "d": d,
        "e": e,
        "scale": d**-0.5,
        "D": max(16, triton.next_power_of_2(d)),
        "E": max(16, triton.next_power_of_2(e)),
        "RADIUS": window // 2,
        "MASKS": border == "mask",
        "TILE": _TILE,
        "TILES": 1 + triton.cdiv(window - 1, _TILE),
    }


@triton.jit
def _tile(W, TILE: tl.constexpr):
    """Returns row and column of this program's first pixel."""
    across = tl.cdiv(W, TILE)
    return tl.program_id(0) // across * TILE, tl.program_id(0) % across * TILE


@triton.jit
def _pixels(top, left, TILE: tl.constexpr):
    """Returns the ``(TILE^2,)`` rows and columns of the pixels of a square."""
    i = tl.arange(0, TILE * TILE)
    return top + i // TILE, left + i % TILE


@triton.jit
def _inside(y, x, H, W):
    return (y >= 0) & (y < H) & (x >= 0) & (x < W)


@triton.jit
def _places(y, x, channels, H, W, C: tl.constexpr):
    """Returns ``(pixels, C)`` offsets of an image's numbers, and a mask of those that exist."""
    c = tl.arange(0, C)
    image = tl.program_id(1).to(tl.int64) * channels * H * W
    exists = _inside(y, x, H, W)[:, None] & (c < channels)[None, :]
    return image + c[None, :] * (H * W) + (y * W + x)[:, None], exists


@triton.jit
def _load(base, y, x, channels, H, W, C: tl.constexpr):
    """Reads ``(pixels, C)`` numbers, zeros outside the image."""
    offsets, exists = _places(y, x, channels, H, W, C)
    return tl.load(base + offsets, mask=exists, other=0.0)


@triton.jit
def _store(base, y, x, value, channels, H, W, C: tl.constexpr):
    offsets, exists = _places(y, x, channels, H, W, C)
    tl.store(base + offsets, value.to(base.dtype.element_ty), mask=exists)


@triton.jit
def _load_line(base, y, x, H, W):
    """Reads ``(pixels,)`` numbers of a ``(B, H, W)`` map."""
    image = tl.program_id(1).to(tl.int64) * H * W
    return tl.load(base + image + y * W + x, mask=_inside(y, x, H, W), other=0.0)


@triton.jit
def _product(a, b):
    """Returns ``a b^T`` in the full precision of its type, summed in float32."""
    return tl.dot(a, tl.trans(b), input_precision="ieee")


@triton.jit
def _neighbours(qy, qx, ky, kx, H, W, RADIUS: tl.constexpr, MASKS: tl.constexpr):
    """Returns a ``(queries, keys)`` mask of the keys that a query attends to."""
    near = (tl.abs(qy[:, None] - ky[None, :]) <= RADIUS) & (tl.abs(qx[:, None] - kx[None, :]) <= RADIUS)
    return near & _inside(ky, kx, H, W)[None, :] if MASKS else near


@triton.jit
def _forward(
    q, k, v, out, log_sum, H, W, d, e, scale,
    D: tl.constexpr, E: tl.constexpr, RADIUS: tl.constexpr, MASKS: tl.constexpr,
    TILE: tl.constexpr, TILES: tl.constexpr,
):  # fmt: skip
    top, left = _tile(W, TILE)
    y, x = _pixels(top, left, TILE)
    query = _load(q, y, x, d, H, W, D)
    largest = tl.full((TILE * TILE,), float("-inf"), tl.float32)
    total = tl.zeros((TILE * TILE,), tl.float32)
    result = tl.zeros((TILE * TILE, E), tl.float32)
    for tile in range(TILES * TILES):
        ky, kx = _pixels(top - RADIUS + tile // TILES * TILE, left - RADIUS + tile % TILES * TILE, TILE)
        value = _load(v, ky, kx, e, H, W, E)
        similarity = _product(query, _load(k, ky, kx, d, H, W, D)) * scale
        similarity = tl.where(_neighbours(y, x, ky, kx, H, W, RADIUS, MASKS), similarity, float("-inf"))
        larger = tl.maximum(largest, tl.max(similarity, 1))
        # a query may have met no neighbour yet
        shift = tl.where(larger == float("-inf"), 0.0, larger)
        weight = tl.exp(similarity - shift[:, None])
        shrink = tl.exp(largest - shift)
        total = total * shrink + tl.sum(weight, 1)
        result = result * shrink[:, None] + tl.dot(weight.to(value.dtype), value, input_precision="ieee")
        largest = larger
    _store(out, y, x, result / total[:, None], e, H, W, E)
    image = tl.program_id(1).to(tl.int64) * H * W
    tl.store(log_sum + image + y * W + x, largest + tl.log(total), mask=_inside(y, x, H, W))


@triton.jit
def _backward_queries(
    q, k, v, grad, log_sum, common, dq, H, W, d, e, scale,
    D: tl.constexpr, E: tl.constexpr, RADIUS: tl.constexpr, MASKS: tl.constexpr,
    TILE: tl.constexpr, TILES: tl.constexpr,
):  # fmt: skip
    top, left = _tile(W, TILE)
    y, x = _pixels(top, left, TILE)
    query, into = _load(q, y, x, d, H, W, D), _load(grad, y, x, e, H, W, E)
    shift, mean = _load_line(log_sum, y, x, H, W), _load_line(common, y, x, H, W)
    result = tl.zeros((TILE * TILE, D), tl.float32)
    for tile in range(TILES * TILES):
        ky, kx = _pixels(top - RADIUS + tile // TILES * TILE, left - RADIUS + tile % TILES * TILE, TILE)
        key, value = _load(k, ky, kx, d, H, W, D), _load(v, ky, kx, e, H, W, E)
        seen = _neighbours(y, x, ky, kx, H, W, RADIUS, MASKS)
        weight = tl.where(seen, tl.exp(_product(query, key) * scale - shift[:, None]), 0.0)
        slope = weight * (_product(into, value) - mean[:, None]) * scale
        result += tl.dot(slope.to(key.dtype), key, input_precision="ieee")
    _store(dq, y, x, result, d, H, W, D)


@triton.jit
def _backward_keys(
    q, k, v, grad, log_sum, common, dk, dv, H, W, d, e, scale,
    D: tl.constexpr, E: tl.constexpr, RADIUS: tl.constexpr, MASKS: tl.constexpr,
    TILE: tl.constexpr, TILES: tl.constexpr,
):  # fmt: skip
    top, left = _tile(W, TILE)
    y, x = _pixels(top, left, TILE)
    key, value = _load(k, y, x, d, H, W, D), _load(v, y, x, e, H, W, E)
    key_grad, value_grad = tl.zeros((TILE * TILE, D), tl.float32), tl.zeros((TILE * TILE, E), tl.float32)
    for tile in range(TILES * TILES):
        qy, qx = _pixels(top - RADIUS + tile // TILES * TILE, left - RADIUS + tile % TILES * TILE, TILE)
        query, into = _load(q, qy, qx, d, H, W, D), _load(grad, qy, qx, e, H, W, E)
        shift, mean = _load_line(log_sum, qy, qx, H, W), _load_line(common, qy, qx, H, W)
        # rows are keys, columns are queries; neighbourhood is symmetric, and here the queries must exist
        seen = _neighbours(y, x, qy, qx, H, W, RADIUS, True)
        weight = tl.where(seen, tl.exp(_product(key, query) * scale - shift[None, :]), 0.0)
        slope = weight * (_product(value, into) - mean[None, :]) * scale
        value_grad += tl.dot(weight.to(into.dtype), into, input_precision="ieee")
        key_grad += tl.dot(slope.to(query.dtype), query, input_precision="ieee")
    _store(dk, y, x, key_grad, d, H, W, D)
    _store(dv, y, x, value_grad, e, H, W, E)
