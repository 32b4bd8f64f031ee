"""Events of a search. Iterating a `Search` gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from searchspace import Genotype
from strategies.multi_trial import Trial

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["AskedEvent", "Event", "StageEvent", "StepEvent", "ToldEvent"]


@dataclass(frozen=True)
class StageEvent:
    """Event: a stage begins, or the search ends.

    Attributes:
        stage: ``"training"`` of a supernet; ``"choosing"``, the second stage of a one-shot strategy; ``"trials"`` of
            a multi-trial one; or ``"end"``.
        reason: Why the search ended; empty at the beginning of a stage.
    """

    kind: ClassVar[Literal["stage"]] = "stage"
    stage: str
    reason: str = ""


@dataclass(frozen=True)
class StepEvent:
    """Event: a training step of a supernet was made.

    Attributes:
        step: Number of steps so far, this one included.
        loss: The training loss without the strategy's penalty, detached, on the supernet's device.
    """

    kind: ClassVar[Literal["step"]] = "step"
    step: int
    loss: Tensor


@dataclass(frozen=True)
class AskedEvent:
    """Event: the strategy was asked for a trial, which is now in flight.

    Attributes:
        trial: The trial that the strategy gave.
    """

    kind: ClassVar[Literal["asked"]] = "asked"
    trial: Trial


@dataclass(frozen=True)
class ToldEvent:
    """Event: the strategy was told the outcome of a trial.

    Attributes:
        trial: The trial that was told.
        score: The score that the strategy was told, with the penalty of cost; None if the trial failed.
        value: The score that the scorer gave; None if the trial failed.
        cost: Cost of the genotype; 0 if no cost counts.
        samples: Number of images that the trial used; 0 if it was repeated.
        repeated: Whether the trial got the score of an earlier trial of the same genotype.
        named: The genotype that the search would name now; None if nothing can be named yet.
        metrics: Further numbers that the scorer gave.
    """

    kind: ClassVar[Literal["told"]] = "told"
    trial: Trial
    score: float | None
    value: float | None
    cost: float
    samples: int
    repeated: bool
    named: Genotype | None
    metrics: Mapping[str, float] = field(default_factory=dict)


Event = StageEvent | StepEvent | AskedEvent | ToldEvent
