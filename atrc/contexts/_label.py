"""Label contexts (Sec. 3.2.3): every target pixel attends to the prototype of every label region.

T-label partitions by the target task's labels, S-label by the source task's; the operation is the same.
"""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from atrc.contexts._base import CONTEXTS, Context, LabelSpace
from atrc.contexts.attention import prototype_attention, region_prototypes

__all__ = ["SLabelContext", "TLabelContext"]


class _LabelContext(Context):
    """Attention to region prototypes; keys and values are projected from the prototypes."""

    def forward(self, target: Tensor, source: Tensor, density: Tensor | None) -> Tensor:
        if density is None:
            raise ValueError("a label context needs the region densities of its label space")
        prototypes = region_prototypes(density, source)
        q, k = F.relu(self.query(target)), F.relu(self.key(prototypes))
        return prototype_attention(q, k, self.value(prototypes))


@CONTEXTS.register("t_label")
class TLabelContext(_LabelContext):
    """Source features averaged over the regions of the target's label space."""

    label_space: ClassVar[LabelSpace | None] = LabelSpace.TARGET


@CONTEXTS.register("s_label")
class SLabelContext(_LabelContext):
    """Source features averaged over the regions of the source's label space."""

    label_space: ClassVar[LabelSpace | None] = LabelSpace.SOURCE
