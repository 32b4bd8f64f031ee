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
"""Side of the square of queries that share one window of keys. 8 x 8 queries against 16 x 16 keys (for a 9 x 9
neighbourhood) was the fastest of 4, 8 and 16 on a CPU: larger tiles compute more pairs that the mask throws away."""


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

    Tiles of 8 x 8 queries are multiplied with the (8 + window - 1)^2 keys that any of them can see, and pairs beyond
    the window are masked. Exact, and the largest intermediate is 256 numbers a pixel (window 9), where an unfolded
    form holds ``2 * d * 81``.

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
    radius = window // 2
    rows, columns = -(-H // TILE), -(-W // TILE)
    bottom, right = rows * TILE - H, columns * TILE - W

    def tiles(x: Tensor, size: int) -> Tensor:
        """(B, c, h, w) -> (B, tiles, c, size * size), tiles starting every 8 pixels."""
        x = x.unfold(2, size, TILE).unfold(3, size, TILE)
        return x.permute(0, 2, 3, 1, 4, 5).reshape(B, rows * columns, x.shape[1], size * size)

    span = TILE + window - 1
    pad = (radius, radius + right, radius, radius + bottom)
    q = tiles(F.pad(q_BdHW, (0, right, 0, bottom)), TILE).transpose(2, 3)
    k = tiles(F.pad(k_BdHW, pad), span)
    v = tiles(F.pad(v_BeHW, pad), span).transpose(2, 3)
    similarity = (q @ k) * d**-0.5
    seen = _tile_mask(H, W, window, border, q_BdHW.device)
    weights = torch.softmax(similarity.masked_fill(~seen, -torch.inf), dim=-1)
    out = (weights @ v).view(B, rows, columns, TILE, TILE, e)
    out = out.permute(0, 5, 1, 3, 2, 4).reshape(B, e, rows * TILE, columns * TILE)
    return out[..., :H, :W]


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # a mask made in inference mode could not be used in a later training step
def _tile_mask(H: int, W: int, window: int, border: str, device: torch.device) -> Tensor:
    """``(tiles or 1, 64, span * span)`` bool: which keys of its tile's window a query attends to."""
    span = TILE + window - 1
    query, key = torch.arange(TILE, device=device), torch.arange(span, device=device)
    offset = key[None] - query[:, None]
    near = (offset >= 0) & (offset < window)
    inside = (near[:, None, :, None] & near[None, :, None, :]).reshape(1, TILE**2, span**2)
    if border == "zero":
        return inside
    rows, columns = -(-H // TILE), -(-W // TILE)

    def real(tiles: int, extent: int) -> Tensor:
        """(tiles, span) bool: the key lies inside the image."""
        at = torch.arange(tiles, device=device)[:, None] * TILE + key - window // 2
        return (at >= 0) & (at < extent)

    pixels = real(rows, H)[:, None, :, None] & real(columns, W)[None, :, None, :]
    visible = inside & pixels.reshape(rows * columns, 1, span**2)
    # Queries that pad the last tiles may see no pixel at all; they are cut off later, and must not become NaN,
    # whose gradient would reach the rest.
    return visible | ~visible.any(-1, keepdim=True)


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
