"""Local attention (Eq. 4) in several forms that compute the same function.

``compiled`` runs on a CPU and does not hold the similarities. ``tiled`` is plain torch and runs anywhere. ``unfold``
is the definition, which the others are held to. ``auto`` takes the fastest that the tensors allow.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from atrc.contexts.local_attention._compiled import kernel_works, local_attention_compiled
from atrc.contexts.local_attention._tiled import local_attention_tiled
from atrc.contexts.local_attention._unfold import local_attention_unfold

__all__ = ["BORDERS", "FORMS", "local_attention", "local_attention_tiled", "local_attention_unfold"]

BORDERS = ("mask", "zero")
"""Rules for neighbours outside the image. ``mask``: they are no neighbours (Eq. 4). ``zero``: they have similarity 0,
value 0, and stay in the softmax (the released kernel), so that the weights of real pixels sum to less than 1 at the
border."""


def local_attention(
    q_BdHW: Tensor, k_BdHW: Tensor, v_BeHW: Tensor, *, window: int = 9, border: str = "mask", form: str = "auto"
) -> Tensor:
    """Eq. 4: every pixel attends to the ``window`` x ``window`` pixels around it, scaled by 1 / sqrt(d).

    Args:
        q_BdHW: Queries.
        k_BdHW: Keys.
        v_BeHW: Values.
        window: Odd side of the neighbourhood.
        border: One of `BORDERS`.
        form: One of `FORMS`. All but ``compiled`` can be differentiated twice.

    Returns:
        ``(B, e, H, W)``.
    """
    return FORMS[form](q_BdHW, k_BdHW, v_BeHW, window=window, border=border)


def _auto(q_BdHW: Tensor, k_BdHW: Tensor, v_BeHW: Tensor, *, window: int, border: str) -> Tensor:
    form = local_attention_compiled if _compiles(q_BdHW) else local_attention_tiled
    return form(q_BdHW, k_BdHW, v_BeHW, window=window, border=border)


def _compiles(x: Tensor) -> bool:
    kind = x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64)
    return kind and not torch.compiler.is_compiling() and kernel_works()


FORMS: dict[str, Callable[..., Tensor]] = {
    "auto": _auto,
    "compiled": local_attention_compiled,
    "tiled": local_attention_tiled,
    "unfold": local_attention_unfold,
}
