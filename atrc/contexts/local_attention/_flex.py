"""Local attention through torch's FlexAttention: compiled on a GPU; elsewhere it computes all pairs, for tests.

Pixels are ordered in tiles of 8 x 16, the 128 tokens of one block of FlexAttention. So a block of queries attends to
the few blocks around it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

__all__ = ["local_attention_flex"]

_ROWS, _COLUMNS = 8, 16
_BLOCK = _ROWS * _COLUMNS


def local_attention_flex(q_BdHW: Tensor, k_BdHW: Tensor, v_BeHW: Tensor, *, window: int, border: str) -> Tensor:
    """Computes `atrc.contexts.local_attention.local_attention`; cannot be differentiated twice."""
    B, d, H, W = q_BdHW.shape
    # for "zero", the neighbours outside the image are zeros that pad it
    margin = window // 2 if border == "zero" else 0
    down, across = -(-(H + 2 * margin) // _ROWS), -(-(W + 2 * margin) // _COLUMNS)

    def tokens(x: Tensor) -> Tensor:
        """(B, c, H, W) -> (B, 1, tokens, c)."""
        right, bottom = across * _COLUMNS - W - margin, down * _ROWS - H - margin
        x = F.pad(x, (margin, right, margin, bottom)).view(B, -1, down, _ROWS, across, _COLUMNS)
        return x.permute(0, 2, 4, 3, 5, 1).reshape(B, 1, down * across * _BLOCK, -1)

    out = _attend(q_BdHW.device.type)(
        tokens(q_BdHW),
        tokens(k_BdHW),
        tokens(v_BeHW),
        block_mask=_mask(down, across, H, W, window, border, q_BdHW.device),
        scale=d**-0.5,
    )
    out = out.view(B, down, across, _ROWS, _COLUMNS, -1).permute(0, 5, 1, 3, 2, 4)
    out = out.reshape(B, -1, down * _ROWS, across * _COLUMNS)
    return out[..., margin : margin + H, margin : margin + W]


@functools.cache
def _attend(device: str) -> Callable[..., Tensor]:
    if device == "cuda":
        return torch.compile(flex_attention)
    return flex_attention


@functools.lru_cache(maxsize=64)
def _mask(down: int, across: int, H: int, W: int, window: int, border: str, device: torch.device) -> BlockMask:
    radius = window // 2

    def row(token: Tensor) -> Tensor:
        return token // _BLOCK // across * _ROWS + token % _BLOCK // _COLUMNS

    def column(token: Tensor) -> Tensor:
        return token // _BLOCK % across * _COLUMNS + token % _COLUMNS

    def sees(_image: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        near = ((row(query) - row(key)).abs() <= radius) & ((column(query) - column(key)).abs() <= radius)
        return near & (row(key) < H) & (column(key) < W) if border == "mask" else near

    count = down * across * _BLOCK
    return create_block_mask(sees, None, None, count, count, device=device, BLOCK_SIZE=_BLOCK)
