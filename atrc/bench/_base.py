"""What a benchmark is: cases, each of several contenders that do the same work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import torch

from searchspace import Registry

__all__ = ["BENCHMARKS", "Benchmark", "Case", "Setting"]


@dataclass(frozen=True)
class Setting:
    """Where and how long a benchmark runs.

    Attributes:
        device: Of all tensors.
        repeats: Timed rounds; every contender runs once a round.
        quick: Small sizes, for a test that everything runs.
    """

    device: torch.device
    repeats: int = 7
    quick: bool = False


@dataclass(frozen=True)
class Case:
    """The same work, done by several contenders.

    Attributes:
        title: Says the size.
        contenders: Name -> what is timed, ours first. Called once before it is timed.
        reference: The contender that ratios refer to.
        flops: Floating-point operations that the work needs, or None.
        point: The size in numbers, where cases are to be drawn against it.
    """

    title: str
    contenders: Mapping[str, Callable[[], object]]
    reference: str
    flops: float | None = None
    point: Mapping[str, int] = field(default_factory=dict)


Benchmark = Callable[[Setting], Iterator[Case]]
BENCHMARKS: Registry[Benchmark] = Registry("benchmark", "atrc.benchmarks")
