"""Local attention (Eq. 4) in several forms that compute the same function.

``compiled`` runs on a CPU, ``triton`` and ``flex`` on a GPU; none of them stores all similarities. ``tiled`` is plain
torch and runs anywhere. ``unfold`` follows the definition; tests compare the others with it. ``auto`` takes the first
form of `forms_on` that supports the tensors.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable

import torch
from torch import Tensor

from atrc.contexts.local_attention._compiled import kernel_works, local_attention_compiled
from atrc.contexts.local_attention._tiled import local_attention_tiled
from atrc.contexts.local_attention._unfold import local_attention_unfold
from searchspace import InputError

__all__ = ["BORDERS", "FORMS", "forms_on", "local_attention", "local_attention_tiled", "local_attention_unfold"]

BORDERS = ("mask", "zero")
"""Rules for neighbours outside the image.

``mask``: they do not count (Eq. 4). ``zero``: they stay in the softmax with similarity 0 and value 0 (the released
kernel), so that the weights of real pixels sum to less than 1 at the border."""


def local_attention(
    q_BdHW: Tensor,
    k_BdHW: Tensor,
    v_BeHW: Tensor,
    *,
    window: int = 9,
    border: str = "mask",
    form: str = "auto",
    order: Tensor | None = None,
) -> Tensor:
    """Computes Eq. 4: every pixel attends to the ``window`` x ``window`` pixels around it, scaled by 1 / sqrt(d).

    Args:
        q_BdHW: Queries.
        k_BdHW: Keys.
        v_BeHW: Values.
        window: Odd side of the neighbourhood.
        border: One of `BORDERS`.
        form: One of `FORMS`. ``tiled`` and ``unfold`` can be differentiated twice.
        order: ``(B,)`` permutation: queries of image b attend to the keys of image ``order[b]``. None: of image b.

    Returns:
        ``(B, e, H, W)``.
    """
    if form == "auto":
        form = _best_form(q_BdHW)
    if form == "compiled":
        return local_attention_compiled(q_BdHW, k_BdHW, v_BeHW, window=window, border=border, order=order)
    if order is not None:
        k_BdHW, v_BeHW = k_BdHW[order], v_BeHW[order]
    return FORMS[form](q_BdHW, k_BdHW, v_BeHW, window=window, border=border)


def forms_on(device: torch.device) -> tuple[str, ...]:
    """Returns the forms that can train on a device of this machine, the preferred one first."""
    own: tuple[str, ...] = ()
    if device.type == "cpu" and kernel_works():
        own = ("compiled",)
    elif device.type == "cuda" and _has_triton():
        own = ("triton", "flex")
    return (*own, "tiled", "unfold")


def _best_form(q_BdHW: Tensor) -> str:
    """Returns the form that ``auto`` stands for."""
    form = "tiled" if torch.compiler.is_compiling() else forms_on(q_BdHW.device)[0]
    return form if q_BdHW.dtype in _KINDS.get(form, (q_BdHW.dtype,)) else "tiled"


def _triton(q_BdHW: Tensor, k_BdHW: Tensor, v_BeHW: Tensor, *, window: int, border: str) -> Tensor:
    if not _has_triton():
        raise InputError("the triton form of local attention needs the package triton, which torch for CUDA brings")
    from atrc.contexts.local_attention._triton import local_attention_triton

    return local_attention_triton(q_BdHW, k_BdHW, v_BeHW, window=window, border=border)


def _flex(q_BdHW: Tensor, k_BdHW: Tensor, v_BeHW: Tensor, *, window: int, border: str) -> Tensor:
    from atrc.contexts.local_attention._flex import local_attention_flex

    return local_attention_flex(q_BdHW, k_BdHW, v_BeHW, window=window, border=border)


@functools.cache
def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None


_KINDS = {
    "compiled": (torch.float32, torch.float64),
    "triton": (torch.float32, torch.bfloat16, torch.float16),
}
"""Data types that a form takes; a form that is missing takes all."""

FORMS: dict[str, Callable[..., Tensor]] = {
    "auto": local_attention,
    "compiled": local_attention_compiled,
    "triton": _triton,
    "flex": _flex,
    "tiled": local_attention_tiled,
    "unfold": local_attention_unfold,
}
