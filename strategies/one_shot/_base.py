"""The interface of one-shot strategies: they search within one training of a supernet."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from searchspace import CostModel, InputError, SearchSpace, Selection
from strategies._base import Strategy
from strategies._step import DataUse, Step
from strategies.multi_trial import MultiTrialStrategy

__all__ = ["Choosing", "OneShotStrategy"]


@dataclass(frozen=True)
class Choosing:
    """A second stage: genotypes are scored with the weights that the training of a supernet left.

    Attributes:
        strategy: Asks for genotypes and names one; it draws from a generator of its own.
        trials: How many genotypes it asks for.
    """

    strategy: MultiTrialStrategy
    trials: int


class OneShotStrategy(Strategy):
    """A strategy that searches within one training of a supernet.

    Attributes:
        data_use: How a step uses data.
        passes: Cost of one step in forward and backward passes; a forward pass alone counts half.
        active_paths: How many options of a choice one step computes: text for `atrc strategies`, e.g. ``"one"``.
    """

    kind = "one-shot"
    data_use: ClassVar[DataUse] = DataUse.SINGLE_LEVEL
    passes: ClassVar[float] = 1
    active_paths: ClassVar[str] = "all"

    @classmethod
    def looks(cls) -> int:
        """Batches that one step passes through the supernet, forward passes alone included.

        By default one of every kind that the step reads. It turns a number of samples into a number of steps before
        the first step is made; while a search runs, its ledger counts what really happens.
        """
        return cls.data_use.batches

    def supports(self, space: SearchSpace, objectives: Sequence[str] = ("score",)) -> bool:
        charged = type(self).charge is not OneShotStrategy.charge
        return super().supports(space, objectives) and (charged or "cost" not in objectives)

    def second_stage(self) -> Choosing | None:
        """What chooses the genotype after the training, with the weights that it left; None where nothing has to."""
        return None

    @abstractmethod
    def anneal(self, progress: float) -> None:
        """Sets schedules by the fraction of the training's budget that is spent, in [0, 1]."""

    @abstractmethod
    def select(self) -> Selection:
        """The selection under which the weights learn; may draw from the strategy's generator."""

    def select_to_learn(self) -> Selection:
        """The selection under which a bi-level or reward strategy itself learns; by default the same as `select`."""
        return self.select()

    def parameters(self) -> Sequence[Tensor]:
        """The architecture parameters: leaf tensors."""
        return ()

    def num_parameters(self) -> int:
        """Number of architecture parameters."""
        return sum(parameter.numel() for parameter in self.parameters())

    def penalty(self) -> Tensor | None:
        """What is added to the loss that the architecture parameters learn from (entropy, cost), or None."""
        return None

    def penalised(self, loss: Tensor) -> Tensor:
        """The loss that the architecture parameters learn from."""
        penalty = self.penalty()
        return loss if penalty is None else loss + penalty.to(loss.device)

    def charge(self, costs: CostModel, weight: float) -> None:
        """From now on, expensive genotypes are penalised.

        Args:
            costs: Of genotypes.
            weight: Penalty of the most expensive genotype, in units of the loss; the cheapest pays 0.

        Raises:
            InputError: The strategy has no such penalty.
        """
        raise InputError(f"strategy {self.name!r} takes no cost into account")

    def held_out_gradients(self, step: Step[Any]) -> None:
        """Sets the gradients of a bi-level strategy's parameters; the weights keep their values and gradients."""
        loss = step.supernet.loss(step.held_out, self.select_to_learn())
        parameters = self.parameters()
        gradients = torch.autograd.grad(self.penalised(loss), parameters, materialize_grads=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient

    def reward(self, score: float) -> None:
        """Sets the gradients of a reward strategy's parameters from the score of `select_to_learn`'s selection."""
        raise NotImplementedError

    @abstractmethod
    def update(self) -> None:
        """One step on the architecture parameters from their gradients, which it then clears."""

    @abstractmethod
    def report(self) -> dict[str, Any]:
        """What a trajectory plot needs: ``probabilities`` ({choice: {option: p}}) and scalars, as plain numbers."""
