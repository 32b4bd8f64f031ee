"""What a search may spend, what it has spent, and what a trial came to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from searchspace import InputError

__all__ = ["Budget", "Score", "Spent"]


@dataclass(frozen=True)
class Score:
    """The outcome of a trial.

    Attributes:
        value: Higher is better; one that is not finite is a failure.
        samples: Number of images that it took: each counts each time it passes through a network.
        metrics: Whatever else is worth a line in a log.
    """

    value: float
    samples: int
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Spent:
    """The ledger of a search.

    Attributes:
        samples: Images, each counted each time it passes through a network for the search's sake: forward passes
            alone, recalibration and second stages too.
        seconds: Time spent in steps and in trials, over all processes' parts if the search was resumed.
        trials: Trials that were told, failures and repeated genotypes included.
        steps: Training steps of a supernet.
    """

    samples: int = 0
    seconds: float = 0.0
    trials: int = 0
    steps: int = 0

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return asdict(self)


@dataclass(frozen=True)
class Budget:
    """What a search may spend; where several are given, whichever is spent first ends it.

    Attributes:
        samples: Images, as `Spent` counts them.
        seconds: The one budget that does not repeat to the bit.
        trials: Trials, failures and repeated genotypes included.

    Raises:
        InputError: Nothing is given, or something that is not positive.
    """

    samples: int | None = None
    seconds: float | None = None
    trials: int | None = None

    def __post_init__(self) -> None:
        given = {name: value for name, value in asdict(self).items() if value is not None}
        if not given:
            raise InputError("a budget needs samples, seconds or trials")
        for name, value in given.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
                raise InputError(f"{name} of a budget must be a positive number, got {value!r}")

    def fraction(self, spent: Spent) -> float:
        """How much of the budget is spent, in [0, 1]."""
        parts = (
            (self.samples, spent.samples),
            (self.seconds, spent.seconds),
            (self.trials, spent.trials),
        )
        return min(1.0, max(used / limit for limit, used in parts if limit is not None))

    def __str__(self) -> str:
        units = {"samples": "images", "seconds": "seconds", "trials": "trials"}
        return " and ".join(f"{value:,} {units[name]}" for name, value in asdict(self).items() if value is not None)
