"""One search step: how a strategy, a supernet and an optimiser of its weights work together."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

from searchspace import InputError, Supernet
from strategies._base import DataUse, OneShotStrategy

__all__ = ["search_step"]

BatchT = TypeVar("BatchT")


def search_step(
    strategy: OneShotStrategy,
    supernet: Supernet[BatchT],
    batch: BatchT,
    optimizer: torch.optim.Optimizer,
    *,
    progress: float,
    clip_norm: float | None = None,
) -> Tensor:
    """Updates the weights and the architecture parameters from one training batch.

    Args:
        strategy: A single-level strategy.
        supernet: What is trained.
        batch: Whatever ``supernet.loss`` takes.
        optimizer: Of the supernet's weights.
        progress: Fraction of the budget spent before this step, in [0, 1].
        clip_norm: Largest gradient norm of the optimiser's parameters together; None does not clip.

    Returns:
        The loss without the strategy's penalty, detached.
    """
    if strategy.data_use is not DataUse.SINGLE_LEVEL:
        raise InputError(f"strategy {strategy.name!r} is {strategy.data_use.value}; this step is single-level")
    strategy.anneal(progress)
    loss = supernet.loss(batch, strategy.select())
    penalty = strategy.penalty()
    optimizer.zero_grad(set_to_none=True)
    (loss if penalty is None else loss + penalty.to(loss.device)).backward()
    if clip_norm is not None:
        nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], clip_norm)
    optimizer.step()
    strategy.update()
    return loss.detach()
