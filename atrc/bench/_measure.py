"""Measures times and peak memory of the contenders of a case.

Times are measured interleaved, one call of each contender per round, so that other load of the machine affects all of
them. Medians are compared. On a CPU, the peak memory of each contender is measured in its own process, by the
high-water mark of the resident set.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from atrc.bench._base import BENCHMARKS, Case, Setting
from atrc.machine.memory import release_memory

__all__ = ["Measurement", "Product", "measure"]


@dataclass(frozen=True)
class Measurement:
    """The measurement of one contender of one case.

    Attributes:
        benchmark, case, contender: Names of the three.
        point: See `Case`.
        median_ms: Median over the rounds, milliseconds.
        quartiles_ms: Lower and upper quartile.
        ratio: Speed relative to the case's reference; 2 is twice as fast.
        share_of_peak: Rate relative to the machine's rate in a large float32 matrix product; None if the number of
            operations is unknown.
        peak_mb: Additional memory during one call, MiB; None if it was not measured.
    """

    benchmark: str
    case: str
    contender: str
    point: Mapping[str, int]
    median_ms: float
    quartiles_ms: tuple[float, float]
    ratio: float
    share_of_peak: float | None
    peak_mb: float | None


def measure(name: str, setting: Setting, *, memory: bool = True) -> Iterator[list[Measurement]]:
    """Yields the measurements of one case after the other."""
    peak = _peak_flops(setting)
    for index, case in enumerate(BENCHMARKS[name](setting)):
        times = _interleaved(case, setting)
        release_memory()  # the processes that measure memory need it now
        medians = {contender: statistics.median(seconds) for contender, seconds in times.items()}
        found = []
        for contender, seconds in times.items():
            median = medians[contender]
            low, _, high = statistics.quantiles(seconds, n=4) if len(seconds) > 1 else seconds * 3
            found.append(
                Measurement(
                    benchmark=name,
                    case=case.title,
                    contender=contender,
                    point=case.point,
                    median_ms=1e3 * median,
                    quartiles_ms=(1e3 * low, 1e3 * high),
                    ratio=medians[case.reference] / median,
                    share_of_peak=case.flops / median / peak if case.flops else None,
                    peak_mb=_peak_memory(name, setting, index, contender) / 2**20 if memory else None,
                )
            )
        yield found


def _interleaved(case: Case, setting: Setting) -> dict[str, list[float]]:
    for run in case.contenders.values():
        run()
    times: dict[str, list[float]] = {contender: [] for contender in case.contenders}
    for _ in range(setting.repeats):
        for contender, run in case.contenders.items():
            times[contender].append(_seconds(run, setting.device))
    return times


def _seconds(run: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


class Product:
    """A large float32 matrix product, whose rate is that of the machine.

    Attributes:
        rates: Floating-point operations per second, of every time that it was computed.
    """

    def __init__(self, setting: Setting) -> None:
        self._n = 512 if setting.quick else 2048
        self._device = setting.device
        self._factors = [torch.randn(self._n, self._n, device=setting.device) for _ in range(2)]
        self.rates: list[float] = []

    def measure(self) -> None:
        """Computes the product once."""
        a, b = self._factors
        self.rates.append(2 * self._n**3 / _seconds(lambda: a @ b, self._device))


def _peak_flops(setting: Setting) -> float:
    """Returns the floating-point operations per second of a large float32 matrix product on this machine."""
    product = Product(setting)
    for _ in range(6):
        product.measure()
    return max(product.rates)


def _peak_memory(name: str, setting: Setting, index: int, contender: str) -> float:
    """Returns the additional memory during one call, bytes."""
    if setting.device.type == "cuda":
        return _peak_memory_here(name, setting, index, contender, 0)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        threads = torch.get_num_threads()
        return pool.submit(_peak_memory_here, name, setting, index, contender, threads).result()


def _peak_memory_here(name: str, setting: Setting, index: int, contender: str, threads: int) -> float:
    if threads:
        torch.set_num_threads(threads)
    case = next(case for i, case in enumerate(BENCHMARKS[name](setting)) if i == index)
    run = case.contenders[contender]
    if setting.device.type == "cuda":
        run()
        before = torch.cuda.memory_allocated(setting.device)
        torch.cuda.reset_peak_memory_stats(setting.device)
        run()
        return torch.cuda.max_memory_allocated(setting.device) - before
    run()  # loads code and compiled kernels
    release_memory()
    found = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
    run()
    return _resident("VmHWM") - found


def _resident(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return float(line.split()[1]) * 1024
    return float("nan")
