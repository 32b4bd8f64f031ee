"""Peak memory of a part of a process: of the GPU where one computes, else of the process as Linux counts it."""

from __future__ import annotations

from pathlib import Path

import torch

from atrc.training.allocator import release_memory

__all__ = ["peak_memory", "reset_peak_memory"]

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def reset_peak_memory(device: torch.device) -> None:
    """Peaks count from here on; what was freed before goes back to the system first."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    release_memory()
    try:
        _CLEAR.write_text("5")  # resets the high-water mark
    except OSError:  # another system, or one that forbids it: the peak is then that of the whole process
        return


def peak_memory(device: torch.device) -> int | None:
    """Largest number of bytes in use since `reset_peak_memory`; None where the system does not say."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)
