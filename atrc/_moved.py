"""Modules that have moved can be imported by their former names, with a warning that says where they are now.

The rule for what moves: a former name stays for the versions up to the next whole number, and the changelog names it.
A name of a module that is gone altogether is an error that names the new places of the rest.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import Any

__all__ = ["MOVED"]

MOVED: dict[str, tuple[str, ...]] = {
    "atrc.boundary_files": ("atrc.inference.boundary_files",),
    "atrc.build": ("atrc.setup", "atrc.networks", "atrc.supernets", "atrc.config"),
    "atrc.comparison": ("atrc.experiments.comparison",),
    "atrc.consensus": ("atrc.experiments.consensus",),
    "atrc.experiment": ("atrc.experiments", "atrc.runs.names"),
    "atrc.files": ("atrc.machine.files",),
    "atrc.kernels": ("atrc.machine.kernels",),
    "atrc.measures": ("atrc.costs",),
    "atrc.network": ("atrc.networks", "atrc.supernets"),
    "atrc.paths": ("atrc.experiments.paths",),
    "atrc.plan": ("atrc.experiments.plan", "atrc.experiments", "atrc.runs.names"),
    "atrc.predict": ("atrc.inference.predict", "atrc.data.decode"),
    "atrc.recovery": ("atrc.experiments.recovery",),
    "atrc.resources": ("atrc.costs",),
    "atrc.training.checkpoint": ("atrc.runs.checkpoint",),
    "atrc.training.evaluation": ("atrc.inference.evaluation",),
    "atrc.training.prediction_files": ("atrc.inference.prediction_files",),
}
"""Former name of a module -> the modules that have its names now."""


class _Former(ModuleType):
    """A module by its former name."""

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return sorted({one for place in _places(self) for one in place.__all__})
        if name.startswith("__"):
            raise AttributeError(name)
        for place in _places(self):
            if hasattr(place, name):
                return getattr(place, name)
        raise AttributeError(
            f"{self.__name__} has moved to {' and '.join(MOVED[self.__name__])}, and {name!r} is gone; "
            "the changelog says where to"
        )


def _places(module: ModuleType) -> list[Any]:
    return [importlib.import_module(place) for place in MOVED[module.__name__]]


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Comes last of all finders, so it is asked for what is not there any more."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(name, self) if name in MOVED else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _Former(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        now = " and ".join(MOVED[module.__name__])
        warnings.warn(f"{module.__name__} has moved to {now}", DeprecationWarning, stacklevel=2)


sys.meta_path.append(_Finder())
