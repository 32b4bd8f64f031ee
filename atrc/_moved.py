"""Former names of modules: they can still be imported, with a warning that gives the new names.

A former name works until the next major version, and the changelog lists it. A name that a moved module has no longer
raises an AttributeError, which gives the new modules of the other names.
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
    """A stand-in for a module at its former name."""

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return sorted({one for place in _places(self) for one in place.__all__})
        if name.startswith("__"):
            raise AttributeError(name)
        for place in _places(self):
            if hasattr(place, name):
                return getattr(place, name)
        raise AttributeError(
            f"{self.__name__} has moved to {' and '.join(MOVED[self.__name__])}, which have no {name!r}; "
            "the changelog says what replaces it"
        )


def _places(module: ModuleType) -> list[Any]:
    return [importlib.import_module(place) for place in MOVED[module.__name__]]


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """A finder of former names. It is the last finder, so it is asked only for modules that no other one finds."""

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
