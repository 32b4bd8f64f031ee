"""Batch-norm statistics: protected from held-out data, and recomputed for one genotype of a supernet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["keeping_buffers", "pooled_statistics"]

_Part = tuple[int, Tensor, Tensor]
"""Moments of one batch: number of values per channel, and their mean and unbiased variance ``(C,)``."""


@contextmanager
def keeping_buffers(module: Any) -> Iterator[None]:
    """Restores every buffer of a module at the end of the ``with`` block, bit for bit, also after an exception.

    Buffers are batch-norm statistics, counters and the like; parameters are left alone.

    Args:
        module: A torch module, or a wrapper that passes ``buffers()`` on; anything else has no buffers.
    """
    buffers = list(module.buffers()) if hasattr(module, "buffers") else []
    kept = [buffer.clone() for buffer in buffers]
    try:
        yield
    finally:
        _restore(buffers, kept)


@contextmanager
def pooled_statistics(module: nn.Module) -> Iterator[None]:
    """Recomputes the batch-norm statistics of a module from everything that passes through it in the ``with`` block.

    In the block all batch norms with running statistics are in training mode: they normalise by the statistics of the
    batch. Other modules keep their mode: put the module into evaluation mode before if dropout must not act.

    At the end of the block:

    - ``running_mean`` and ``running_var`` (unbiased) of a norm are the moments of all elements that it saw, pooled
      over batches. They do not depend on how these elements were cut into batches.
    - A norm that saw nothing has its initial statistics, mean 0 and variance 1.
    - ``num_batches_tracked`` counts the batches of the block.
    - Modes and momenta are restored. After an exception the statistics are restored, too.

    The inputs of deeper layers still depend on the batches, because the norms before them normalise by each batch.
    The caller therefore cuts its images into chunks of a fixed size.

    Args:
        module: Any module. In each batch a norm must see more than one value per channel, as in training.
    """
    norms = [
        norm
        for norm in module.modules()
        if isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.running_mean is not None
    ]
    parts: dict[nn.Module, list[_Part]] = {norm: [] for norm in norms}

    def collect(norm: Any, inputs: Any, output: Tensor) -> None:
        # With momentum 1 the running statistics are those of the batch: no second pass over the inputs.
        count = output.numel() // norm.num_features
        parts[norm].append((count, norm.running_mean.clone(), norm.running_var.clone()))

    before = [(norm, norm.training, norm.momentum) for norm in norms]
    buffers = [buffer for norm in norms for buffer in norm.buffers()]
    kept = [buffer.clone() for buffer in buffers]
    hooks = [norm.register_forward_hook(collect) for norm in norms]
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.train()
            norm.momentum = 1.0
        yield
        for norm in norms:
            _set_statistics(norm, parts[norm])
    except BaseException:
        _restore(buffers, kept)
        raise
    finally:
        for hook in hooks:
            hook.remove()
        for norm, training, momentum in before:
            norm.train(training)
            norm.momentum = momentum


@torch.no_grad()
def _set_statistics(norm: nn.modules.batchnorm._BatchNorm, parts: Sequence[_Part]) -> None:
    """Sets the running statistics to the pooled moments: the sum of squares within batches and between them."""
    if not parts or norm.running_mean is None or norm.running_var is None:
        return
    counts, means, variances = zip(*parts, strict=True)
    n_K1 = torch.tensor(counts, dtype=torch.double, device=means[0].device)[:, None]
    means_KC, variances_KC = torch.stack(means).double(), torch.stack(variances).double()
    mean = (n_K1 * means_KC).sum(0) / sum(counts)
    squares = ((n_K1 - 1) * variances_KC).sum(0) + (n_K1 * (means_KC - mean) ** 2).sum(0)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(squares / (sum(counts) - 1))


@torch.no_grad()
def _restore(buffers: list[Tensor], kept: list[Tensor]) -> None:
    if buffers:  # one call for all: a supernet has many hundreds of small ones
        torch._foreach_copy_(buffers, kept)
