"""The interface of benchmarks: cases, each with several contenders that do the same work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import torch

from searchspace import Registry

__all__ = ["BENCHMARKS", "Benchmark", "Case", "Setting"]


@dataclass(frozen=True)
class Setting:
    """The device, length and size of a benchmark.

    Attributes:
        device: Device of all tensors.
        repeats: Number of timed rounds; every contender runs once per round.
        quick: Whether sizes are small, for a test that everything runs.
    """

    device: torch.device
    repeats: int = 7
    quick: bool = False


@dataclass(frozen=True)
class Case:
    """A piece of work that is done by several contenders.

    Attributes:
        title: Title, which names the size.
        contenders: Name -> function that is timed, ours first. It is called once before it is timed.
        reference: Name of the contender to which ratios refer.
        flops: Number of floating-point operations of the work, or None.
        point: Size in numbers, if results are drawn against it.
    """

    title: str
    contenders: Mapping[str, Callable[[], object]]
    reference: str
    flops: float | None = None
    point: Mapping[str, int] = field(default_factory=dict)


Benchmark = Callable[[Setting], Iterator[Case]]
BENCHMARKS: Registry[Benchmark] = Registry("benchmark", "atrc.benchmarks")
