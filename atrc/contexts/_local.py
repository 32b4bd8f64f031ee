"""Local context (Sec. 3.2.2): every target pixel attends to the source pixels around it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from torch import Tensor

from atrc.contexts._base import CONTEXTS, Context
from atrc.contexts.local_attention import BORDERS, FORMS, local_attention
from searchspace import InputError, UnknownNameError

__all__ = ["LocalContext"]


@CONTEXTS.register("local")
class LocalContext(Context):
    """Attention within a square neighbourhood (Eq. 4).

    Args:
        window: Odd side of the neighbourhood; 9 in the paper.
        border: ``"mask"`` (Eq. 4) or ``"zero"``, the rule of the released kernel (see `local_attention.BORDERS`).
        form: Name of the implementation (see `local_attention.FORMS`).
        options: Options of `Context`.
    """

    def __init__(
        self, *channels: int, window: int = 9, border: str = "mask", form: str = "auto", **options: Any
    ) -> None:
        super().__init__(*channels, **options)
        if window < 1 or window % 2 == 0:
            raise InputError(f"the window of local attention must be odd and positive, got {window}")
        if border not in BORDERS:
            raise UnknownNameError("border rule", border, BORDERS)
        if form not in FORMS:
            raise UnknownNameError("form of local attention", form, FORMS)
        self.window = window
        self.border = border
        self.form = form

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return self.attend_in_order(query, key, value, None)

    def alike(self) -> Hashable:
        return type(self), self.window, self.border, self.form

    def attend_in_order(self, query: Tensor, key: Tensor, value: Tensor, order: Tensor | None) -> Tensor:
        return local_attention(query, key, value, window=self.window, border=self.border, form=self.form, order=order)

    def reference_form(self) -> None:
        """Computes the attention in the form that defines it, from now on."""
        self.form = "unfold"

    def extra_repr(self) -> str:
        return f"window={self.window}, border={self.border}, form={self.form}"
