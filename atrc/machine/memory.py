"""Memory of a process: keeps freed blocks, and measures the peak of a part of the work.

glibc returns large blocks to the system as soon as they are freed, and asks for them again in the next training step.
On a CPU, that made a search step up to 3x slower. The peak is that of the GPU if a GPU computes, else that of the
process as Linux counts it.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from pathlib import Path

import torch

__all__ = ["keep_memory", "peak_memory", "release_memory", "reset_peak_memory"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_GIBIBYTE = 1 << 30
_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def keep_memory() -> bool:
    """Tells glibc to keep freed blocks up to 1 GiB, and returns whether that worked. Other systems are unchanged."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        libc = ctypes.CDLL("libc.so.6")
        return bool(libc.mallopt(_M_MMAP_THRESHOLD, _GIBIBYTE) and libc.mallopt(_M_TRIM_THRESHOLD, 2 * _GIBIBYTE - 1))
    except (OSError, AttributeError):
        return False


def release_memory() -> None:
    """Returns all freed memory to the system, if glibc is in use."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def reset_peak_memory(device: torch.device) -> None:
    """Starts a new measurement of the peak, after freed memory was returned to the system."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    release_memory()
    try:
        _CLEAR.write_text("5")  # resets the high-water mark
    except OSError:  # another system, or one that forbids it: the peak is then that of the whole process
        return


def peak_memory(device: torch.device) -> int | None:
    """Returns the largest number of bytes in use since `reset_peak_memory`, or None if the system does not say."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)
