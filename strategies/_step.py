"""One step of a one-shot search: a strategy, a supernet and an optimiser of its weights work together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from searchspace import InputError, Selection, Supernet
from strategies._clipping import clip_gradients
from strategies._statistics import keeping_buffers

if TYPE_CHECKING:
    from strategies.one_shot import OneShotStrategy

__all__ = ["CLIPS", "DataUse", "Step"]

BatchT = TypeVar("BatchT")

CLIPS = ("joint", "weights")
"""Parameters that share a gradient norm: all of one backward pass, architecture parameters too, or weights alone."""


class DataUse(Enum):
    """Ways in which one search step of a one-shot strategy uses data."""

    SINGLE_LEVEL = "single-level"
    """Weights and architecture parameters learn from the same loss of the same training batch."""
    BI_LEVEL = "bi-level"
    """Weights learn from a training batch, architecture parameters from a held-out one."""
    REWARD = "reward"
    """Weights learn from a training batch; the strategy sees only a score of a held-out one."""

    @property
    def batches(self) -> int:
        """Number of batches that one step reads."""
        return 1 if self is DataUse.SINGLE_LEVEL else 2


@dataclass(frozen=True)
class Step(Generic[BatchT]):
    """One search step: its supernet, optimiser and batches.

    Attributes:
        supernet: The supernet that is trained.
        optimizer: The optimiser of the supernet's weights.
        batch: A training batch, as ``supernet.loss`` takes it.
        held_out: A batch that the weights do not learn from; None for a single-level strategy.
        clip_norm: Largest norm of the gradients of one backward pass; None does not clip.
        clip: One of `CLIPS`. ``"joint"`` is the released code of the paper: in a single-level step weights and
            architecture parameters share one norm, and both are scaled; the two backward passes of other steps are
            clipped each by itself. ``"weights"`` leaves the architecture parameters alone.
    """

    supernet: Supernet[BatchT]
    optimizer: torch.optim.Optimizer
    batch: BatchT
    held_out: BatchT | None = None
    clip_norm: float | None = None
    clip: str = "joint"

    @property
    def weights(self) -> list[nn.Parameter]:
        """Parameters that the optimiser trains."""
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def take(self, strategy: OneShotStrategy, progress: float = 0.0) -> Tensor:
        """Updates the weights and the architecture parameters once, as the strategy's `DataUse` says.

        Held-out data leave no trace in the buffers of the supernet, such as batch-norm statistics.

        Args:
            strategy: Any one-shot strategy.
            progress: Fraction of the training's budget that was spent before this step, in [0, 1].

        Returns:
            The training loss without the strategy's penalty, a detached scalar.

        Raises:
            InputError: The strategy needs a held-out batch, and there is none.
        """
        if strategy.data_use is not DataUse.SINGLE_LEVEL and self.held_out is None:
            raise InputError(f"strategy {strategy.name!r} is {strategy.data_use.value}: it needs a held-out batch")
        strategy.anneal(progress)
        loss = _STEPS[strategy.data_use](strategy, self)
        strategy.update()
        return loss

    def optimize(self, loss: Tensor, jointly: Iterable[Tensor] = ()) -> None:
        """Takes one step of the optimiser on a loss.

        Args:
            loss: The loss, a scalar.
            jointly: Architecture parameters that get gradients from the same backward pass.
        """
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._clip([*self.weights, *(jointly if self.clip == "joint" else ())])
        self.optimizer.step()

    def train_weights(self, selection: Selection) -> Tensor:
        """Takes one step of the optimiser under a selection that does not learn, and returns the detached loss."""
        loss = self.supernet.loss(self.batch, selection.detach())
        self.optimize(loss)
        return loss.detach()

    def clip_architecture(self, strategy: OneShotStrategy) -> None:
        """Clips the gradients of the architecture parameters alone, after a backward pass of their own."""
        if self.clip == "joint":
            self._clip(strategy.parameters())

    def _clip(self, parameters: Iterable[Tensor]) -> None:
        if self.clip_norm is not None:
            clip_gradients(parameters, self.clip_norm)


def _single_level(strategy: OneShotStrategy, step: Step[Any]) -> Tensor:
    loss = step.supernet.loss(step.batch, strategy.select())
    step.optimize(strategy.penalised(loss), jointly=strategy.parameters())
    return loss.detach()


def _bi_level(strategy: OneShotStrategy, step: Step[Any]) -> Tensor:
    # The architecture learns first, at the weights that the training batch has not moved yet (DARTS, algorithm 1).
    with keeping_buffers(step.supernet):
        strategy.held_out_gradients(step)
    step.clip_architecture(strategy)
    return step.train_weights(strategy.select())


def _reward(strategy: OneShotStrategy, step: Step[Any]) -> Tensor:
    loss = step.train_weights(strategy.select())
    selection = strategy.select_to_learn()
    with torch.no_grad(), keeping_buffers(step.supernet):
        score = -float(step.supernet.loss(step.held_out, selection.detach()))
    strategy.reward(score)
    step.clip_architecture(strategy)
    return loss


_STEPS: dict[DataUse, Callable[[OneShotStrategy, Step[Any]], Tensor]] = {
    DataUse.SINGLE_LEVEL: _single_level,
    DataUse.BI_LEVEL: _bi_level,
    DataUse.REWARD: _reward,
}
