"""Many projections of several maps at once, without a pass over memory for any of their batch norms.

A batch norm in training needs mean and variance of ``y = W x``. Both follow from the moments of x, which all
projections of a map share: ``W mean(x)`` and ``diag(W cov(x) W^T)``. So the moments of every map are computed once,
and every norm is folded into its weights. A row of ones below the map turns the shift of a norm into one more weight.
The result is a few large matrix products instead of many small ones, whose weight gradients run at a quarter of a
CPU's speed. The backward pass is written out for the same reason: the gradients through all statistics add up in one
``C x C`` matrix.

Results lie in the order in which attention reads them, so nothing is copied between the two; see `Rows`.

Legend: B batch, P = H * W pixels, C channels of the maps, d channels of a projection, M maps, n projections.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from atrc.contexts.projection._layers import Layers, evaluated_own, evaluated_shared
from atrc.contexts.projection._own import Own
from atrc.contexts.projection._regions import project_regions
from atrc.contexts.projection._rows import Rows, Section
from atrc.contexts.projection._shared import Shared

__all__ = ["Rows", "Section", "project", "project_regions"]


def project(maps: Sequence[Tensor], sections: Sequence[Section]) -> list[Tensor]:
    """Computes the projections of maps and updates the running statistics.

    Args:
        maps: ``(B, C, H, W)`` each, of one shape.
        sections: What to compute. All norms have the same mode, momentum and epsilon.

    Returns:
        For every section ``(rows, d, P)``, in the order of its `Section.rows`.
    """
    batch = len(maps[0])
    rows = [section.rows(batch) for section in sections]
    shared = Layers([projection for section in sections for projection in section.all], 0)
    deep = [i for i, section in enumerate(sections) if section.deep]
    ones = [section.deep for section in sections]
    if shared.training:
        outputs = list(shared.normed(Shared, rows, ones, *maps))
    else:
        outputs = evaluated_shared(shared, rows, ones, maps)
    for activation in dict.fromkeys(sections[i].activation for i in deep):
        chosen = [i for i in deep if sections[i].activation == activation]
        own = Layers([projection for i in chosen for projection in sections[i].all], 3)
        relu = activation is F.relu
        if own.training:
            found: Sequence[Tensor] = own.normed(Own, [rows[i] for i in chosen], relu, *(outputs[i] for i in chosen))
        else:
            found = evaluated_own(own, [rows[i] for i in chosen], relu, [outputs[i] for i in chosen])
        for i, out in zip(chosen, found, strict=True):
            outputs[i] = out if relu else activation(out)
    return outputs
