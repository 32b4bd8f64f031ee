"""Records how a run was made: versions, machine, revision, command."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

__all__ = ["environment"]

LIBRARIES = ("atrc", "torch", "numpy", "optuna", "nni", "pandas", "torchmetrics")


def environment(threads: int | None = None) -> dict[str, Any]:
    """Returns the content of environment.json. ``threads`` is by default the number of threads of this process."""
    program = Path(sys.argv[0]).name
    return {
        "python": platform.python_version(),
        "versions": {library: _version(library) for library in LIBRARIES},
        "platform": platform.platform(),
        "processor": _processor(),
        "threads": torch.get_num_threads() if threads is None else threads,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "revision": _revision(),
        "command": ["atrc" if program == "__main__.py" else program, *sys.argv[1:]],
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


@functools.cache
def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


@functools.cache
def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return f"{line.partition(':')[2].strip()}, {os.cpu_count()} cores"
    return f"{platform.processor()}, {os.cpu_count()} cores"


@functools.cache
def _revision() -> str | None:
    """Returns the commit of this software, or None if it does not run from a checkout.

    A process asks once: its modules stay as they were imported, whatever happens to the checkout.
    """
    here = Path(__file__).parent
    try:
        found = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
