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
    """Second stage of a one-shot search: genotypes are scored with the weights of the trained supernet.

    Attributes:
        strategy: The multi-trial strategy that asks for genotypes and names one. It has a generator of its own.
        trials: Number of genotypes that it asks for.
    """

    strategy: MultiTrialStrategy
    trials: int


class OneShotStrategy(Strategy):
    """A strategy that searches within one training of a supernet.

    Attributes:
        data_use: The use of training and held-out batches by a step.
        passes: Cost of one step in forward and backward passes; a forward pass alone counts 0.5.
        active_paths: Number of options of a choice that one step computes, as text for `atrc strategies`, e.g.
            ``"one"``.
    """

    kind = "one-shot"
    data_use: ClassVar[DataUse] = DataUse.SINGLE_LEVEL
    passes: ClassVar[float] = 1
    active_paths: ClassVar[str] = "all"

    @classmethod
    def looks(cls) -> int:
        """Returns the number of batches that one step passes through the supernet, forward passes alone included.

        By default one of every kind that the step reads. The number serves to plan a search. While it runs, the
        ledger counts the batches themselves.
        """
        return cls.data_use.batches

    def supports(self, space: SearchSpace, objectives: Sequence[str] = ("score",)) -> bool:
        charged = type(self).charge is not OneShotStrategy.charge
        return super().supports(space, objectives) and (charged or "cost" not in objectives)

    def second_stage(self) -> Choosing | None:
        """Returns the stage that chooses the genotype after the training; None if there is none."""
        return None

    @abstractmethod
    def anneal(self, progress: float) -> None:
        """Sets schedules by the spent fraction of the training's budget, in [0, 1]."""

    @abstractmethod
    def select(self) -> Selection:
        """Returns the selection under which the weights learn. May draw from the strategy's generator."""

    def select_to_learn(self) -> Selection:
        """Returns the selection under which a bi-level or reward strategy itself learns; by default as `select`."""
        return self.select()

    def parameters(self) -> Sequence[Tensor]:
        """Returns the architecture parameters, which are leaf tensors."""
        return ()

    def num_parameters(self) -> int:
        """Returns the number of architecture parameters."""
        return sum(parameter.numel() for parameter in self.parameters())

    def to(self, device: torch.device) -> None:
        """Moves what a step computes with to the device of the supernet, so that no step copies it.

        `strategies.Search` calls it before the first step and before a state is loaded. The default moves nothing;
        weights of a selection may be on any device.
        """

    def penalty(self) -> Tensor | None:
        """Returns the term that is added to the loss of the architecture parameters (entropy, cost), or None."""
        return None

    def penalised(self, loss: Tensor) -> Tensor:
        """Returns the loss that the architecture parameters learn from: a loss plus the `penalty`."""
        penalty = self.penalty()
        return loss if penalty is None else loss + penalty.to(loss.device)

    def charge(self, costs: CostModel, weight: float) -> None:
        """Penalises expensive genotypes from now on.

        Args:
            costs: Costs of genotypes.
            weight: Penalty of the most expensive genotype, in units of the loss; the cheapest pays 0.

        Raises:
            InputError: The strategy has no such penalty.
        """
        raise InputError(f"strategy {self.name!r} takes no cost into account")

    def held_out_gradients(self, step: Step[Any]) -> None:
        """Sets the gradients of a bi-level strategy's parameters. Weights keep their values and gradients."""
        loss = step.supernet.loss(step.held_out, self.select_to_learn())
        parameters = self.parameters()
        gradients = torch.autograd.grad(self.penalised(loss), parameters, materialize_grads=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient

    def reward(self, score: float) -> None:
        """Sets the gradients of a reward strategy's parameters.

        Args:
            score: Score of the selection that `select_to_learn` returned; higher is better.
        """
        raise NotImplementedError

    @abstractmethod
    def update(self) -> None:
        """Takes a step on the architecture parameters from their gradients, and clears these."""

    @abstractmethod
    def report(self) -> dict[str, Any]:
        """Returns numbers for a trajectory plot: ``probabilities`` ({choice: {option: p}}) and scalars, all plain."""
