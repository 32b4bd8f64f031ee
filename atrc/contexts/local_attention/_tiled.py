"""Local attention as products of tiles, in plain torch: for every device and type, and differentiable twice.

A tile of 8 x 8 queries is multiplied with the square of key tiles that covers the neighbourhoods of all its pixels
(16 x 16 keys for a window of 9). Pairs beyond the window are masked. The largest intermediate result has 256 numbers
per pixel, that of the unfolded form ``2 * d * 81``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from atrc.machine.tensors import kept_tensor

__all__ = ["local_attention_tiled"]

TILE = 8
"""Side of the square of queries that share their keys: 8 x 8 queries meet 16 x 16 keys for a 9 x 9 neighbourhood."""


def local_attention_tiled(q_BdHW: Tensor, k_BdHW: Tensor, v_BeHW: Tensor, *, window: int, border: str) -> Tensor:
    """Computes `local_attention` tile by tile."""
    (B, d, H, W), e = q_BdHW.shape, v_BeHW.shape[1]
    rows, columns = -(-H // TILE), -(-W // TILE)
    extra = _extra_tiles(window)

    def tiles(x: Tensor, margin: int, more: int) -> Tensor:
        """(B, c, H, W) -> (B, rows + more, columns + more, TILE, TILE, c), zeros around the image."""
        bottom, right = (rows + more) * TILE - H - margin, (columns + more) * TILE - W - margin
        x = F.pad(x, (margin, right, margin, bottom))
        return x.view(B, -1, rows + more, TILE, columns + more, TILE).permute(0, 2, 4, 3, 5, 1)

    def windows(x: Tensor) -> Tensor:
        """(B, c, H, W) -> (B, tiles, keys, c): for every tile of queries, the key tiles that it can see."""
        x = tiles(x, window // 2, extra)
        seen = [x[:, i : i + rows, j : j + columns] for i in range(extra + 1) for j in range(extra + 1)]
        return torch.stack(seen, dim=3).flatten(3, 5).flatten(1, 2)

    q = tiles(q_BdHW, 0, 0).flatten(3, 4).flatten(1, 2)
    similarity = (q @ windows(k_BdHW).transpose(2, 3)) * d**-0.5
    mask = _tile_mask(H, W, window, border, q.device, q.dtype)
    out = torch.softmax(similarity + mask, dim=-1) @ windows(v_BeHW)
    out = out.view(B, rows, columns, TILE, TILE, e).permute(0, 5, 1, 3, 2, 4)
    return out.reshape(B, e, rows * TILE, columns * TILE)[..., :H, :W]


def _extra_tiles(window: int) -> int:
    """Returns the number of key tiles along one axis that a tile of queries sees in addition to its own."""
    return -(-(window - 1) // TILE)


@kept_tensor(64)
def _tile_mask(H: int, W: int, window: int, border: str, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Returns ``(tiles, 64, keys)``: 0 where a query attends to a key of its windows, -inf elsewhere."""
    extra, radius = _extra_tiles(window), window // 2

    def axis(extent: int) -> Tensor:
        """(tiles, TILE queries, extra + 1, TILE keys) bool: key in reach, and in the image where that matters."""
        start = torch.arange(-(-extent // TILE), device=device)[:, None, None, None] * TILE
        within = torch.arange(TILE, device=device)
        query = start + within[:, None, None]
        key = start + torch.arange(extra + 1, device=device)[:, None] * TILE + within - radius
        near = (key - query).abs() <= radius
        return near & (key >= 0) & (key < extent) if border == "mask" else near

    vertical, horizontal = axis(H), axis(W)
    seen = vertical[:, None, :, None, :, None, :, None] & horizontal[None, :, None, :, None, :, None, :]
    seen = seen.reshape(vertical.shape[0] * horizontal.shape[0], TILE**2, ((extra + 1) * TILE) ** 2)
    # Queries that pad the last tiles may see no pixel at all. They are cut off later, but must not become NaN,
    # whose gradient would reach the rest.
    seen = seen | ~seen.any(-1, keepdim=True)
    return torch.zeros(seen.shape, device=device, dtype=dtype).masked_fill(~seen, -torch.inf)
