"""The sections of the check: what each needs and how long it may take; and the process that runs one."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["DISTRIBUTIONS", "ENVIRONMENT", "SECTIONS", "Section", "run_section"]

_BASE = ("torch", "numpy", "yaml", "lazy_loader")
_SEARCH = (*_BASE, "pydantic", "scipy", "PIL", "tqdm", "threadpoolctl")

_OTHER_NAMES = {"yaml": "pyyaml", "PIL": "pillow", "lazy_loader": "lazy-loader"}
_MODULES = (*_SEARCH, "torchmetrics", "psutil", "pytest", "triton")
DISTRIBUTIONS = {name: _OTHER_NAMES.get(name, name) for name in _MODULES}
"""Module -> name of the package that brings it."""


@dataclass(frozen=True)
class Section:
    """A part of the check, which runs in a process of its own.

    Attributes:
        name: Name, as ``--only`` takes it.
        title: Title in the table.
        module: Module of this package, and its function after a colon: it is called with `Given` and `Rows`.
        needs: Modules without which it is skipped.
        wants: Modules without which it runs, but lacks something.
        least: Seconds that must be left for it to begin.
        most: Seconds after which it is stopped.
    """

    name: str
    title: str
    module: str
    needs: tuple[str, ...]
    least: float
    most: float
    wants: tuple[str, ...] = ()


ENVIRONMENT = Section("environment", "environment", "environment:record", ("torch",), 0, 90)

_TRITON = ("triton",)
_TORCHMETRICS = (*_SEARCH, "torchmetrics")
SECTIONS = (
    Section("attention-nyud", "local attention, NYUD-v2", "attention:nyud", _BASE, 30, 150, _TRITON),
    Section("search-step", "search step of nyud_hrnet18", "search_step:check", _SEARCH, 20, 90, _TRITON),
    Section("resume", "a resumed run", "resume:check", (*_TORCHMETRICS, "psutil"), 30, 120, _TRITON),
    Section("attention-tests", "tests of local attention", "suite:attention", (*_BASE, "pytest"), 20, 150, _TRITON),
    Section("search-tests", "tests of searches", "suite:search", (*_TORCHMETRICS, "pytest"), 20, 90, _TRITON),
    Section("attention-pascal", "local attention, PASCAL-Context", "attention:pascal", _BASE, 20, 90, _TRITON),
)
"""In the order in which they run: what matters most comes first, if time should run out."""


def run_section(name: str, given: str) -> None:
    """Runs a section in this process.

    Args:
        name: Name of the section.
        given: JSON of `gpu_check.rows.Given`.
    """
    from gpu_check.rows import DeviceLost, Given, Rows

    read: dict[str, Any] = json.loads(given)
    setting = Given(**{**read, "folder": Path(read["folder"])})
    section = next(one for one in (ENVIRONMENT, *SECTIONS) if one.name == name)
    module, _, function = section.module.partition(":")
    rows = Rows(setting)
    check: Callable[[Given, Rows], None] = getattr(importlib.import_module(f"gpu_check.{module}"), function)
    try:
        check(setting, rows)
    except DeviceLost as lost:
        rows.add("the rest of the section", "not run", f"the device is in error: {lost}")
        raise SystemExit(3) from None
