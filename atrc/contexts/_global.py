"""Global context (Sec. 3.2.1): every target pixel attends to every source pixel, linearised."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from atrc.contexts._base import CONTEXTS, Context
from atrc.contexts.attention import linear_attention

__all__ = ["GlobalContext"]


@CONTEXTS.register("global")
class GlobalContext(Context):
    """Linear attention; softplus keeps queries and keys positive, as the kernel needs (Eq. 3)."""

    def forward(self, target: Tensor, source: Tensor, density: Tensor | None) -> Tensor:
        q, k = F.softplus(self.query(target)), F.softplus(self.key(source))
        return linear_attention(q, k, self.value(source))
