"""Projections of label regions: many small maps at once, each with the projections of its own context.

A map of regions has a few dozen columns. So the time goes into calls, not into arithmetic, and all calls of a kind
become one. The norms compute their statistics directly, since regions may be so much alike that second moments would
lose their digits.

Legend: B batch, n contexts, C channels of the features, d channels of a projection, R regions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atrc.layers import join

__all__ = ["project_regions"]


def project_regions(
    x_BnCR: Tensor,
    keys: Sequence[nn.Sequential],
    values: Sequence[nn.Sequential],
    activation: Callable[[Tensor], Tensor],
) -> tuple[Tensor, Tensor]:
    """Computes the key and the value of n contexts from their regions, and updates the running statistics.

    Args:
        x_BnCR: The regions of every context.
        keys: For every context ``conv - BN - ReLU - conv - BN``, with 1x1 convolutions without bias. All norms have
            the same mode, momentum and epsilon.
        values: For every context ``conv - BN - ReLU``, in the same way.
        activation: Activation of the keys.

    Returns:
        Keys and values, ``(B, n, d, R)`` each.
    """
    pairs: list[Any] = [projection for pair in zip(keys, values, strict=True) for projection in pair]
    first = join([projection[0].weight for projection in pairs])
    hidden = _norm(_each(first, x_BnCR), [projection[1] for projection in pairs]).relu()
    d = hidden.shape[2] // 2
    key, value = hidden.split((d, d), dim=2)
    deep: Sequence[Any] = keys
    second = join([projection[3].weight for projection in deep])
    return activation(_norm(_each(second, key), [projection[4] for projection in deep])), value


def _each(weight: Tensor, x_BnCR: Tensor) -> Tensor:
    """Multiplies every map with its own weights, ``(n * m, C, 1, 1)`` -> ``(B, n, m, R)``."""
    B, n, C, _ = x_BnCR.shape
    weights = weight.view(1, n, -1, C).expand(B, -1, -1, -1).flatten(0, 1)
    return torch.bmm(weights, x_BnCR.flatten(0, 1)).unflatten(0, (B, n))


def _norm(x_BnmR: Tensor, norms: Sequence[Any]) -> Tensor:
    """Applies batch norms, whose channels together are n * m, as one."""

    def joined(name: str, otherwise: float) -> Tensor:
        given = [(getattr(norm, name), norm.num_features) for norm in norms]
        return join([x_BnmR.new_full((size,), otherwise) if one is None else one for one, size in given])

    first = norms[0]
    mean, variance = joined("running_mean", 0.0), joined("running_var", 1.0)
    gain, shift = joined("weight", 1.0), joined("bias", 0.0)
    x = x_BnmR.flatten(1, 2)
    out = F.batch_norm(x, mean, variance, gain, shift, first.training, first.momentum, first.eps)
    if first.training:
        widths = [norm.num_features for norm in norms]
        with torch.no_grad():
            torch._foreach_copy_([norm.running_mean for norm in norms], list(mean.split(widths)))
            torch._foreach_copy_([norm.running_var for norm in norms], list(variance.split(widths)))
            torch._foreach_add_([norm.num_batches_tracked for norm in norms], 1)
    return out.view(x_BnmR.shape)
