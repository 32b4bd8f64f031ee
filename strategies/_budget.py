"""The budget of a search, the ledger of what it has spent, and the score of a trial."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from searchspace import InputError

__all__ = ["Budget", "Score", "Spent"]


@dataclass(frozen=True)
class Score:
    """Outcome of a trial.

    Attributes:
        value: The score; higher is better. A value that is not finite is a failure.
        samples: Number of images used: each counts each time it passes through a network.
        metrics: Further numbers for a log.
        seconds: Time that the ledger counts for the trial, e.g. that of a training which was made before; None for
            the time that the score took.
    """

    value: float
    samples: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None


@dataclass
class Spent:
    """Ledger of a search.

    Attributes:
        samples: Number of images, each counted each time it passes through a network for the search. Forward passes
            alone, recalibration and second stages count too.
        seconds: Time spent in steps and in trials, summed over all processes if the search was resumed. A trial
            counts with the seconds of its `Score`, if this has any.
        trials: Number of trials that were told, failures and repeated genotypes included.
        steps: Number of training steps of a supernet.
    """

    samples: int = 0
    seconds: float = 0.0
    trials: int = 0
    steps: int = 0

    def state_dict(self) -> dict[str, Any]:
        """Returns the ledger as plain numbers."""
        return asdict(self)


@dataclass(frozen=True)
class Budget:
    """Limits of a search. If several are given, the one that is reached first ends the search.

    Attributes:
        samples: Largest number of images, counted as in `Spent`.
        seconds: Longest time. A search with this limit does not repeat to the bit, unless all scores bring their
            seconds with them.
        trials: Largest number of trials, failures and repeated genotypes included.

    Raises:
        InputError: No limit is given, or one that is not positive.
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
        """Returns the spent fraction of the budget, in [0, 1]."""
        parts = (
            (self.samples, spent.samples),
            (self.seconds, spent.seconds),
            (self.trials, spent.trials),
        )
        return min(1.0, max(used / limit for limit, used in parts if limit is not None))

    def __str__(self) -> str:
        units = {"samples": "images", "seconds": "seconds", "trials": "trials"}
        return " and ".join(f"{value:,} {units[name]}" for name, value in asdict(self).items() if value is not None)
