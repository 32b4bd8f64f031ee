"""The interfaces of benchmarks. Most have cases, each with several contenders that do the same work.

A benchmark of presets takes a preset or the path of a config, and overrides, as commands do. It measures in a way of
its own, and returns a table and numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from searchspace import Registry

__all__ = ["BENCHMARKS", "PRESET_BENCHMARKS", "Benchmark", "Case", "Outcome", "PresetBenchmark", "Setting"]


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


@dataclass(frozen=True)
class Outcome:
    """What a benchmark found for a preset.

    Attributes:
        title: Title of the table.
        columns: Head -> cells, from top to bottom; all columns have equally many. The first names the rows.
        numbers: The same as plain numbers, for JSON.
    """

    title: str
    columns: Mapping[str, Sequence[str]]
    numbers: Mapping[str, Any]


PresetBenchmark = Callable[[str, Sequence[str], Setting], Outcome]
PRESET_BENCHMARKS: Registry[PresetBenchmark] = Registry("benchmark of presets", "atrc.preset_benchmarks")
"""Benchmarks by name. Each is a function of a preset or the path of a config, of overrides, and of a setting.

The first two are the arguments of `atrc.config.load_config`. The function returns an `Outcome`, and its docstring
says in a line what it measures. It shows a bar if it takes long. By default it runs on one thread.
"""
