"""Times and memory of calls on a device."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

__all__ = ["interleaved", "milliseconds", "peak_memory", "quartiles"]

MIB = 2**20


def milliseconds(run: Callable[[], Any], device: torch.device) -> float:
    """Returns the time of one call. On a GPU it is measured by events of the GPU, with nothing else in its queue."""
    if device.type != "cuda":
        start = time.perf_counter()
        run()
        return 1e3 * (time.perf_counter() - start)
    begun, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize(device)
    begun.record()
    run()
    ended.record()
    torch.cuda.synchronize(device)
    return float(begun.elapsed_time(ended))


def interleaved(
    runs: Mapping[str, Callable[[], Any]], device: torch.device, rounds: int, seconds: float
) -> dict[str, list[float]]:
    """Returns the milliseconds of every call of every contender, one call of each per round.

    Args:
        runs: Contender -> call; each was called before.
        device: Device that computes.
        rounds: Number of rounds, at least one.
        seconds: Time after which no round begins.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    end = time.monotonic() + seconds
    for number in range(rounds):
        if number and time.monotonic() > end:
            break
        for name, run in runs.items():
            times[name].append(milliseconds(run, device))
    return times


def peak_memory(run: Callable[[], Any], device: torch.device) -> dict[str, float]:
    """Returns the largest memory of a call in MiB, or nothing on a CPU.

    ``peak`` is what torch had allocated, ``own`` the part of it that the call added, and ``reserved`` what torch had
    taken from the device, cleared before the call. The CUDA context is in none of them.
    """
    if device.type != "cuda":
        return {}
    torch.cuda.synchronize(device)
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    result = run()
    torch.cuda.synchronize(device)
    del result
    peak = torch.cuda.max_memory_allocated(device)
    return {
        "peak": peak / MIB,
        "own": (peak - before) / MIB,
        "reserved": torch.cuda.max_memory_reserved(device) / MIB,
    }


def quartiles(times: Sequence[float]) -> list[float]:
    """Returns the lower and the upper quartile."""
    if len(times) < 2:
        return [times[0], times[0]]
    low, _, high = statistics.quantiles(times, n=4)
    return [low, high]
