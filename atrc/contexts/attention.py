"""The attention operations behind the contexts (Sec. 3.2), as plain functions of tensors.

Shapes: B batch, d attention channels, C features, R label regions, H x W the pixel grid, L = H * W pixels.
Suffixes name the dimensions: ``q_BdHW``.

`local_attention` is the fast portable form; `local_attention_unfold` is the same function written as Eq. 4 reads,
kept as the reference that the tests hold it to.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "BORDERS",
    "linear_attention",
    "local_attention",
    "local_attention_unfold",
    "prototype_attention",
    "region_prototypes",
    "spatial_softmax",
]

BORDERS = ("mask", "zero")
"""Rules for neighbours outside the image in local attention. ``mask``: they are no neighbours (Eq. 4). ``zero``: they
have similarity 0, value 0, and stay in the softmax (the released kernel), so that the weights of real pixels sum to
less than 1 at the border."""

TILE = 8
"""Side of the square of queries that share their keys: 8 x 8 queries meet 16 x 16 keys for a 9 x 9 neighbourhood."""


def linear_attention(q_BdHW: Tensor, k_BdHW: Tensor, v_BeHW: Tensor) -> Tensor:
    """Eq. 3 with the linear kernel sim(q, k) = q . k, in O(L) by computing ``sum_j k_j v_j^T`` first.

    Queries and keys must be non-negative (they come out of a softplus).

    Returns:
        ``(B, e, H, W)``.
    """
    q_BdL, k_BdL, v_BeL = q_BdHW.flatten(2), k_BdHW.flatten(2), v_BeHW.flatten(2)
    s_Bed = v_BeL @ k_BdL.transpose(1, 2)
    z_B1d = k_BdL.sum(-1, keepdim=True).transpose(1, 2)
    out_BeL = (s_Bed @ q_BdL) / (z_B1d @ q_BdL).clamp_min(1e-12)
    return out_BeL.view(*v_BeHW.shape[:2], *q_BdHW.shape[2:])


def local_attention(
    q_BdHW: Tensor, k_BdHW: Tensor, v_BeHW: Tensor, *, window: int = 9, border: str = "mask"
) -> Tensor:
    """Eq. 4: every pixel attends to the ``window`` x ``window`` pixels around it, scaled by 1 / sqrt(d).

    Tiles of 8 x 8 queries are multiplied with the square of key tiles that covers every neighbourhood in them
    (16 x 16 keys for a window of 9), and pairs beyond the window are masked. Exact, and the largest intermediate is
    256 numbers a pixel, where an unfolded form holds ``2 * d * 81``.

    Args:
        q_BdHW: Queries.
        k_BdHW: Keys.
        v_BeHW: Values.
        window: Odd side of the neighbourhood.
        border: One of `BORDERS`.

    Returns:
        ``(B, e, H, W)``.
    """
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
    """Key tiles that a tile of queries sees beside its own, along one axis."""
    return -(-(window - 1) // TILE)


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # a mask made in inference mode could not be used in a later training step
def _tile_mask(H: int, W: int, window: int, border: str, device: torch.device, dtype: torch.dtype) -> Tensor:
    """``(tiles, 64, keys)``: 0 where a query attends to a key of its windows, -inf elsewhere."""
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
    # Queries that pad the last tiles may see no pixel at all; they are cut off later, and must not become NaN,
    # whose gradient would reach the rest.
    seen = seen | ~seen.any(-1, keepdim=True)
    return torch.zeros(seen.shape, device=device, dtype=dtype).masked_fill(~seen, -torch.inf)


def local_attention_unfold(
    q_BdHW: Tensor, k_BdHW: Tensor, v_BeHW: Tensor, *, window: int = 9, border: str = "mask"
) -> Tensor:
    """`local_attention` as Eq. 4 reads: every neighbourhood written out, ``window**2`` times the memory."""
    (B, d, H, W), radius = q_BdHW.shape, window // 2
    k_BdKL = F.unfold(k_BdHW, window, padding=radius).view(B, d, window**2, H * W)
    v_BeKL = F.unfold(v_BeHW, window, padding=radius).view(B, -1, window**2, H * W)
    similarity_BKL = torch.einsum("bdl,bdkl->bkl", q_BdHW.flatten(2), k_BdKL) * d**-0.5
    if border == "mask":
        real = F.unfold(torch.ones_like(q_BdHW[:1, :1]), window, padding=radius) > 0
        similarity_BKL = similarity_BKL.masked_fill(~real, -torch.inf)
    out_BeL = torch.einsum("bkl,bekl->bel", similarity_BKL.softmax(1), v_BeKL)
    return out_BeL.view(B, -1, H, W)


def spatial_softmax(regions_BRHW: Tensor, valid_B1HW: Tensor | None = None) -> Tensor:
    """The density of each label region over the pixels (Sec. 3.2.3): a softmax over space, one a region.

    Args:
        regions_BRHW: Auxiliary map, logits.
        valid_B1HW: Bool; padded pixels get no say. None: all count.

    Returns:
        ``(B, R, H, W)``, summing to 1 over the pixels.
    """
    logits = regions_BRHW.flatten(2)
    if valid_B1HW is not None:
        logits = logits.masked_fill(~valid_B1HW.flatten(2), -torch.inf)
    return torch.softmax(logits, dim=-1).view_as(regions_BRHW)


def region_prototypes(density_BRHW: Tensor, features_BCHW: Tensor) -> Tensor:
    """Eq. 5: ``(B, C, R, 1)``, the mean feature of every region under its density."""
    prototypes_BCR = features_BCHW.flatten(2) @ density_BRHW.flatten(2).transpose(1, 2)
    return prototypes_BCR.unsqueeze(-1)


def prototype_attention(q_BdHW: Tensor, k_BdR1: Tensor, v_BeR1: Tensor) -> Tensor:
    """Eq. 2 with R prototypes in the place of the pixels: softmax(q k / sqrt(d)) v, ``(B, e, H, W)``."""
    q_BLd, k_BdR, v_BeR = q_BdHW.flatten(2).transpose(1, 2), k_BdR1.squeeze(-1), v_BeR1.squeeze(-1)
    weights_BLR = torch.softmax((q_BLd @ k_BdR) * q_BLd.shape[-1] ** -0.5, dim=-1)
    out_BeL = v_BeR @ weights_BLR.transpose(1, 2)
    return out_BeL.view(*v_BeR.shape[:2], *q_BdHW.shape[2:])
