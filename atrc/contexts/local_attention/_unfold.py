"""Local attention by a literal reading of Eq. 4, which copies every neighbourhood: the reference of the tests."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["local_attention_unfold"]


def local_attention_unfold(q_BdHW: Tensor, k_BdHW: Tensor, v_BeHW: Tensor, *, window: int, border: str) -> Tensor:
    """Computes `local_attention` with ``window**2`` copies of keys and values."""
    (B, d, H, W), radius = q_BdHW.shape, window // 2
    k_BdKL = F.unfold(k_BdHW, window, padding=radius).view(B, d, window**2, H * W)
    v_BeKL = F.unfold(v_BeHW, window, padding=radius).view(B, -1, window**2, H * W)
    similarity_BKL = torch.einsum("bdl,bdkl->bkl", q_BdHW.flatten(2), k_BdKL) * d**-0.5
    if border == "mask":
        real = F.unfold(torch.ones_like(q_BdHW[:1, :1]), window, padding=radius) > 0
        similarity_BKL = similarity_BKL.masked_fill(~real, -torch.inf)
    out_BeL = torch.einsum("bkl,bekl->bel", similarity_BKL.softmax(1), v_BeKL)
    return out_BeL.view(B, -1, H, W)
