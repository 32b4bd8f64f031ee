"""Global context (Sec. 3.2.1): every target pixel attends to every source pixel by linear attention."""

from __future__ import annotations

from collections.abc import Hashable

import torch.nn.functional as F
from torch import Tensor

from atrc.contexts._base import CONTEXTS, Context
from atrc.contexts.attention import linear_attention

__all__ = ["GlobalContext"]


@CONTEXTS.register("global")
class GlobalContext(Context):
    """Linear attention; softplus keeps queries and keys positive, as the kernel needs (Eq. 3)."""

    activation = staticmethod(F.softplus)

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return linear_attention(query, key, value)

    def alike(self) -> Hashable:
        return type(self).attend

    def attend_in_order(self, query: Tensor, key: Tensor, value: Tensor, order: Tensor | None) -> Tensor:
        return linear_attention(query, key, value, order)
