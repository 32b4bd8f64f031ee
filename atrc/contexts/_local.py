"""Local context (Sec. 3.2.2): every target pixel attends to the source pixels around it."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from atrc.contexts._base import CONTEXTS, Context
from atrc.contexts.attention import BORDERS, local_attention
from searchspace import InputError, UnknownNameError

__all__ = ["LocalContext"]


@CONTEXTS.register("local")
class LocalContext(Context):
    """Attention within a square neighbourhood (Eq. 4).

    Args:
        window: Odd side of the neighbourhood; 9 in the paper.
        border: ``"mask"``, Eq. 4, or ``"zero"``, the rule of the released kernel (see `attention.BORDERS`).
        options: See `Context`.
    """

    def __init__(self, *channels: int, window: int = 9, border: str = "mask", **options: Any) -> None:
        super().__init__(*channels, **options)
        if window < 1 or window % 2 == 0:
            raise InputError(f"the window of local attention must be odd and positive, got {window}")
        if border not in BORDERS:
            raise UnknownNameError("border rule", border, BORDERS)
        self.window = window
        self.border = border
        self.attend = local_attention

    def forward(self, target: Tensor, source: Tensor, density: Tensor | None) -> Tensor:
        q, k = F.relu(self.query(target)), F.relu(self.key(source))
        return self.attend(q, k, self.value(source), window=self.window, border=self.border)

    def extra_repr(self) -> str:
        return f"window={self.window}, border={self.border}"
