"""Label contexts (Sec. 3.2.3): every target pixel attends to the prototype of every label region.

T-label partitions by the target task's labels, S-label by the source task's; the operation is the same.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

from torch import Tensor

from atrc.contexts._base import CONTEXTS, Context, LabelSpace
from atrc.contexts.attention import prototype_attention

__all__ = ["SLabelContext", "TLabelContext"]


class _LabelContext(Context):
    """Attention to region prototypes; keys and values are projected from the prototypes."""

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return prototype_attention(query, key, value)

    def alike(self) -> Hashable:
        return type(self).attend

    def attend_in_order(self, query: Tensor, key: Tensor, value: Tensor, order: Tensor | None) -> Tensor:
        return prototype_attention(query, key, value, order)


@CONTEXTS.register("t_label")
class TLabelContext(_LabelContext):
    """Source features averaged over the regions of the target's label space."""

    label_space: ClassVar[LabelSpace | None] = LabelSpace.TARGET


@CONTEXTS.register("s_label")
class SLabelContext(_LabelContext):
    """Source features averaged over the regions of the source's label space."""

    label_space: ClassVar[LabelSpace | None] = LabelSpace.SOURCE
