"""A search step of ``nyud_hrnet18``: time and memory in single and in mixed precision.

The tasks and the network are those of NYUD-v2, the weights are random, and the pictures are rendered rooms.
"""

from __future__ import annotations

import functools
import math
import statistics
import warnings
from collections.abc import Iterator
from typing import Any

import torch

from atrc.config import load_config
from gpu_check.rows import Given, Rows
from gpu_check.searching import search_of, steps_of
from gpu_check.timing import interleaved, peak_memory, quartiles

__all__ = ["check"]

PRESET, BATCH = "nyud_hrnet18", 8
QUICK = ("dataset.size=[48,64]",)
QUICK_BATCH = 2
APART = 0.05
"""Largest difference of the first losses in the two precisions, relative to their size."""
GROWTH = 16.0
"""Largest growth of the allocated memory in all timed steps, MiB: a step must not keep what it made."""


def check(given: Given, rows: Rows) -> None:
    """Makes search steps in both precisions."""
    if rows.device.type == "cuda":
        torch.cuda.set_device(rows.device)
    losses: dict[str, float] = {}
    for precision in ("float32", "bfloat16"):
        name = f"{PRESET}, batch {QUICK_BATCH if given.quick else BATCH}, {precision}"
        rows.check(name, functools.partial(_measure, precision, losses, rows))
    if len(losses) == 2:
        one, other = losses.values()
        apart = abs(one - other) / abs(one)
        wrong = "" if apart <= APART else f"the first losses are {apart:.1%} apart"
        rows.add("the first losses of both", "failed" if wrong else "ok", wrong, {"apart": apart})


def _measure(precision: str, losses: dict[str, float], rows: Rows) -> tuple[dict[str, Any], str]:
    """Returns the numbers of a precision, and what is wrong with them."""
    quick, device = rows.given.quick, rows.device
    size = QUICK_BATCH if quick else BATCH
    changes = [f"search.batch_size={size}", f"precision={precision}", *(QUICK if quick else ())]
    search, _ = search_of(load_config(PRESET, changes), device)
    steps = steps_of(search)
    losses[precision] = float(next(steps))
    for _ in range(1 if quick else 3):  # the allocator and cuDNN find their ways
        next(steps)
    before = _allocated(device)
    times = interleaved({"step": steps.__next__}, device, 2 if quick else 10, min(15.0, rows.left / 4))["step"]
    growth = _allocated(device) - before
    memory = peak_memory(steps.__next__, device)
    waits = _waits(steps, device)
    last = float(next(steps))
    middle = statistics.median(times)
    numbers = {
        "ms": middle,
        "quartiles ms": quartiles(times),
        "images/s": 1e3 * size / middle,
        **{f"{what} MiB": mib for what, mib in memory.items()},
        **waits,
        "first loss": losses[precision],
        "last loss": last,
    }
    if not (math.isfinite(last) and math.isfinite(losses[precision])):
        return numbers, f"the loss is {last}"
    if growth > GROWTH:
        return numbers, f"{growth:.0f} MiB stay allocated after {len(times)} steps"
    return numbers, ""


def _waits(steps: Iterator[Any], device: torch.device) -> dict[str, int]:
    """Counts how often the processor waits for a GPU within a step: copies, and values that are read back."""
    if device.type != "cuda":
        return {}
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            next(steps)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return {"waits": sum("synchroniz" in str(one.message) for one in warned)}


def _allocated(device: torch.device) -> float:
    """MiB that are allocated on a GPU; 0 on a CPU."""
    if device.type != "cuda":
        return 0.0
    torch.cuda.synchronize(device)
    return torch.cuda.memory_allocated(device) / 2**20
