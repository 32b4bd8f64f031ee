"""Profiles contenders: the time that each of torch's operators takes itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from torch.profiler import ProfilerActivity, profile

from atrc.bench._base import BENCHMARKS, Setting

__all__ = ["Operator", "profiled"]


@dataclass(frozen=True)
class Operator:
    """The time of one of torch's operators in one call of a contender.

    Attributes:
        benchmark, case, contender, operator: Names of the four.
        ms: Milliseconds in the operator itself, without operators that it calls; on a GPU, in its kernels.
        share: Share of the time of the call.
        calls: Number of times that the operator ran.
    """

    benchmark: str
    case: str
    contender: str
    operator: str
    ms: float
    share: float
    calls: int


def profiled(name: str, setting: Setting, *, most: int = 10) -> Iterator[list[Operator]]:
    """Yields for every contender of every case its ``most`` most expensive operators."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # otherwise the profiler announces its start and stop on stderr
    gpu = setting.device.type == "cuda"
    for case in BENCHMARKS[name](setting):
        for contender, run in case.contenders.items():
            run()
            with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if gpu else [])]) as record:
                run()
            times = [
                (one.self_device_time_total if gpu else one.self_cpu_time_total, one.key, one.count)
                for one in record.key_averages()
            ]
            total = sum(time for time, _, _ in times) or 1.0
            yield [
                Operator(name, case.title, contender, operator, time / 1e3, time / total, calls)
                for time, operator, calls in sorted(times, reverse=True)[:most]
            ]
