"""Counts cores; needs no torch."""

from __future__ import annotations

import os

__all__ = ["cores"]


def cores() -> int:
    """Returns the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
