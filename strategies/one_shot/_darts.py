"""DARTS: bi-level search with softmax-weighted options, first and second order.

Liu et al., DARTS: Differentiable Architecture Search, ICLR 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from searchspace import SearchSpace, Selection
from strategies._base import STRATEGIES
from strategies._knobs import number
from strategies._step import DataUse, Step
from strategies.one_shot._logits import LogitStrategy

__all__ = ["DARTS", "DARTSSecondOrder"]


@STRATEGIES.register("darts")
class DARTS(LogitStrategy):
    """First order: weights learn from a training batch, logits from a held-out one at the present weights.

    Args:
        space: Any space of independent choices.
        seed: Unused; nothing is drawn.
        lr: Learning rate of the logits, > 0.
        betas: Decay rates of the two moments of their Adam, in [0, 1).
        weight_decay: Weight decay of the logits, >= 0.
    """

    name = "darts"
    summary = "bi-level, softmax-weighted options, first-order gradient"
    paper = "Liu et al., ICLR 2019"
    data_use = DataUse.BI_LEVEL
    passes = 2

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        lr: float = 3e-4,
        betas: tuple[float, float] = (0.5, 0.999),
        weight_decay: float = 1e-3,
    ) -> None:
        super().__init__(space, seed=seed, lr=lr, betas=betas, weight_decay=weight_decay)

    def select(self) -> Selection:
        return self.distribution.selection(self.distribution.probabilities)


@STRATEGIES.register("darts_second")
class DARTSSecondOrder(DARTS):
    """Second order: logits learn at the weights that one training step would lead to.

    They follow the gradient of ``L_val(w - xi grad_w L_train(w, alpha), alpha)`` (eq. 7). Its second term is taken by
    central differences (eq. 8). The unrolled step is one of plain gradient descent. A step costs three more passes
    than first order.

    Args:
        space: Any space of independent choices.
        seed: Unused; nothing is drawn.
        xi: Learning rate of the unrolled step, > 0; None takes the optimiser's present one.
        radius: Norm by which the weights move for the differences, > 0 (0.01 in the paper).
        lr: Learning rate of the logits, > 0.
        betas: Decay rates of the two moments of their Adam, in [0, 1).
        weight_decay: Weight decay of the logits, >= 0.
    """

    name = "darts_second"
    summary = "bi-level, softmax-weighted options, gradient through one unrolled step of the weights"
    paper = "Liu et al., ICLR 2019, eqs. 7 and 8"
    passes = 5

    @classmethod
    def looks(cls) -> int:
        return 5  # the training batch at three places, the held-out one at one; then the weights' own step

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        xi: float | None = None,
        radius: float = 0.01,
        lr: float = 3e-4,
        betas: tuple[float, float] = (0.5, 0.999),
        weight_decay: float = 1e-3,
    ) -> None:
        super().__init__(space, seed=seed, lr=lr, betas=betas, weight_decay=weight_decay)
        self._xi = None if xi is None else number("xi", xi, above=0)
        self._radius = number("radius", radius, above=0)

    def held_out_gradients(self, step: Step[Any]) -> None:
        weights, logits = step.weights, self.distribution.logits
        kept = [weight.detach().clone() for weight in weights]
        rates = [g["lr"] if self._xi is None else self._xi for g in step.optimizer.param_groups for _ in g["params"]]

        def train_loss() -> Tensor:
            loss: Tensor = step.supernet.loss(step.batch, self.select())
            return loss

        towards = _gradients(train_loss(), weights)
        _move(weights, kept, towards, [-rate for rate in rates])
        validation = self.penalised(step.supernet.loss(step.held_out, self.select()))
        at_unrolled = _gradients(validation, [logits, *weights])
        gradient, by_weights = at_unrolled[0], at_unrolled[1:]
        # d/d alpha of w' is -rate times the mixed second derivative of the training loss: that times dL_val/dw'.
        direction = [rate * part for rate, part in zip(rates, by_weights, strict=True)]
        norm = float(torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(part) for part in direction])))
        if norm > 0:
            epsilon = self._radius / norm
            _move(weights, kept, direction, [epsilon] * len(weights))
            (ahead,) = _gradients(train_loss(), [logits])
            _move(weights, kept, direction, [-epsilon] * len(weights))
            (behind,) = _gradients(train_loss(), [logits])
            gradient = gradient - (ahead - behind) / (2 * epsilon)
        logits.grad = gradient
        _move(weights, kept)


def _gradients(loss: Tensor, of: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(loss, of, materialize_grads=True)


@torch.no_grad()
def _move(
    weights: Sequence[Tensor],
    start: Sequence[Tensor],
    along: Sequence[Tensor] = (),
    by: Sequence[float] = (),
) -> None:
    """Sets the weights to ``start + by * along``, or to ``start`` alone."""
    for index, (weight, value) in enumerate(zip(weights, start, strict=True)):
        weight.copy_(torch.add(value, along[index], alpha=by[index]) if along else value)
