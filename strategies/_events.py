"""What happens in a search, one object an event. `Search` gives them when it is iterated."""

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
    """A stage begins, or the search ends.

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
    """A training step of a supernet was made.

    Attributes:
        step: Number of steps so far.
        loss: The training loss without the strategy's penalty, detached, on the supernet's device.
    """

    kind: ClassVar[Literal["step"]] = "step"
    step: int
    loss: Tensor


@dataclass(frozen=True)
class AskedEvent:
    """The strategy was asked for a trial, which is now in flight.

    Attributes:
        trial: The trial.
    """

    kind: ClassVar[Literal["asked"]] = "asked"
    trial: Trial


@dataclass(frozen=True)
class ToldEvent:
    """The strategy was told the outcome of a trial.

    Attributes:
        trial: The trial.
        score: What the strategy was told, the penalty of cost included; None where the trial failed.
        value: What the scorer gave; None where the trial failed.
        cost: Cost of the genotype; 0 where none counts.
        samples: Images that the trial took; 0 for a repeated one.
        repeated: Whether the genotype was scored before, and was told that score.
        named: The genotype that the search would name now; None where nothing can be named yet.
        metrics: What else the scorer gave.
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
