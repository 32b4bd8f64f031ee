"""One search step: how a strategy, a supernet and an optimiser of its weights work together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from searchspace import InputError, Selection, Supernet
from strategies._base import DataUse, OneShotStrategy

__all__ = ["Step", "search_step"]

BatchT = TypeVar("BatchT")


@dataclass(frozen=True)
class Step(Generic[BatchT]):
    """What one search step works with.

    Attributes:
        supernet: What is trained.
        optimizer: Of the supernet's weights.
        batch: Of the training data, whatever ``supernet.loss`` takes.
        held_out: Of the data that the weights do not learn from; None for a single-level strategy.
        clip_norm: Largest gradient norm of the weights together; None does not clip.
    """

    supernet: Supernet[BatchT]
    optimizer: torch.optim.Optimizer
    batch: BatchT
    held_out: BatchT | None = None
    clip_norm: float | None = None

    @property
    def weights(self) -> list[nn.Parameter]:
        """Everything that the optimiser trains."""
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def train_weights(self, selection: Selection) -> Tensor:
        """One step of the optimiser under a selection that learns nothing; returns the loss."""
        loss = self.supernet.loss(self.batch, selection.detach())
        self.optimize(loss)
        return loss.detach()

    def optimize(self, loss: Tensor) -> None:
        """One step of the optimiser on a loss."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.weights, self.clip_norm)
        self.optimizer.step()


def search_step(
    strategy: OneShotStrategy,
    supernet: Supernet[BatchT],
    batch: BatchT,
    optimizer: torch.optim.Optimizer,
    *,
    progress: float,
    held_out: BatchT | None = None,
    clip_norm: float | None = None,
) -> Tensor:
    """Updates the weights and the architecture parameters once, as the strategy's `DataUse` says.

    Args:
        strategy: Any one-shot strategy.
        supernet: What is trained.
        batch: Whatever ``supernet.loss`` takes.
        optimizer: Of the supernet's weights.
        progress: Fraction of the budget spent before this step, in [0, 1].
        held_out: A batch that the weights do not learn from; needed unless the strategy is single-level.
        clip_norm: Largest gradient norm of the optimiser's parameters together; None does not clip.

    Returns:
        The training loss without the strategy's penalty, detached.

    Raises:
        InputError: The strategy needs a held-out batch and got none.
    """
    if strategy.data_use is not DataUse.SINGLE_LEVEL and held_out is None:
        raise InputError(f"strategy {strategy.name!r} is {strategy.data_use.value}: it needs a held-out batch")
    strategy.anneal(progress)
    step = Step(supernet, optimizer, batch, held_out, clip_norm)
    loss = _STEPS[strategy.data_use](strategy, step)
    strategy.update()
    return loss


def _single_level(strategy: OneShotStrategy, step: Step[Any]) -> Tensor:
    loss = step.supernet.loss(step.batch, strategy.select())
    step.optimize(strategy.penalised(loss))
    return loss.detach()


def _bi_level(strategy: OneShotStrategy, step: Step[Any]) -> Tensor:
    # The architecture learns first, at the weights that the training batch has not moved yet (DARTS, algorithm 1).
    strategy.held_out_gradients(step)
    return step.train_weights(strategy.select())


def _reward(strategy: OneShotStrategy, step: Step[Any]) -> Tensor:
    loss = step.train_weights(strategy.select())
    selection = strategy.select_to_learn()
    with torch.no_grad():
        score = -float(step.supernet.loss(step.held_out, selection.detach()))
    strategy.reward(score)
    return loss


_STEPS: dict[DataUse, Callable[[OneShotStrategy, Step[Any]], Tensor]] = {
    DataUse.SINGLE_LEVEL: _single_level,
    DataUse.BI_LEVEL: _bi_level,
    DataUse.REWARD: _reward,
}
