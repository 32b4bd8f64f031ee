"""What the check ran on: versions, device, settings of torch."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from gpu_check.rows import Given, Rows, one_line
from gpu_check.sections import DISTRIBUTIONS

__all__ = ["record"]

ROOT = Path(__file__).parents[3]


def record(given: Given, rows: Rows) -> None:
    """Writes the environment, and why the device cannot be used if so."""
    found: dict[str, Any] = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: _version(name) for name in sorted(set(DISTRIBUTIONS.values()))},
        "torch": {"version": torch.__version__, "cuda": torch.version.cuda, "hip": torch.version.hip},
        "cores": os.cpu_count(),
        "revision": _output("git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"),
        "compiler": next((c for c in (os.environ.get("CC"), "gcc", "clang", "cc") if c and shutil.which(c)), None),
        "python_headers": (Path(sysconfig.get_path("include")) / "Python.h").exists(),
        "float32": _settings(),
    }
    unusable = _unusable(rows.device)
    rows.record({"environment": found, "unusable": unusable})
    if rows.device.type == "cuda" and not unusable:
        rows.record({"environment": {"device": _device(rows)}})


def _unusable(device: torch.device) -> str:
    """Why a device cannot be used; empty if it can."""
    if device.type == "cuda" and not torch.cuda.is_available():
        of = f"torch {torch.__version__}"
        return f"{of} sees no CUDA device; --device cpu runs the same code on the processor"
    try:
        ones = torch.ones(64, 64, device=device)
        if float((ones @ ones).sum()) != 64.0**3:
            return f"a product on {device} is wrong"
    except Exception as error:  # whatever a driver says
        return f"{device} cannot be used: {one_line(error)}"
    return ""


def _device(rows: Rows) -> dict[str, Any]:
    device = rows.device
    properties = torch.cuda.get_device_properties(device)
    free, total = torch.cuda.mem_get_info(device)
    return {
        "name": properties.name,
        "capability": ".".join(map(str, torch.cuda.get_device_capability(device))),
        "processors": properties.multi_processor_count,
        "memory_mib": total / 2**20,
        "free_mib": free / 2**20,
        "bfloat16": torch.cuda.is_bf16_supported(),
        "cudnn": torch.backends.cudnn.version(),
        "driver": _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"),
    }


def _settings() -> dict[str, Any]:
    """Settings of torch that change the digits of single precision. Newer versions may refuse to tell."""
    found: dict[str, Any] = {}
    for name, ask in {
        "matmul_precision": torch.get_float32_matmul_precision,
        "matmul_tf32": lambda: torch.backends.cuda.matmul.allow_tf32,
        "cudnn_tf32": lambda: torch.backends.cudnn.allow_tf32,
        "cudnn_benchmark": lambda: torch.backends.cudnn.benchmark,
        "deterministic": torch.are_deterministic_algorithms_enabled,
    }.items():
        try:
            found[name] = ask()
        except RuntimeError as error:
            found[name] = one_line(error)
    return found


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _output(*command: str) -> str | None:
    """The first line that a command prints, or None."""
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return next(iter(found.stdout.splitlines()), None)
