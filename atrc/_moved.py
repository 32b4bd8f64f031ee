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
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

__all__ = ["MOVED", "NAMES", "former_names"]

_FORMER = "atrc._former"
MOVED: dict[str, tuple[str, ...]] = {
    "analysis.strategies": ("analysis.comparison",),
    "atrc.boundary_files": ("atrc.inference.boundary_files",),
    "atrc.build": ("atrc.setup", "atrc.networks", "atrc.supernets", "atrc.config", _FORMER),
    "atrc.comparison": ("atrc.experiments.comparison",),
    "atrc.consensus": ("atrc.experiments.consensus",),
    "atrc.experiment": ("atrc.experiments", "atrc.runs.names", _FORMER),
    "atrc.files": ("atrc.machine.files",),
    "atrc.kernels": ("atrc.machine.kernels",),
    "atrc.measures": ("atrc.costs",),
    "atrc.network": ("atrc.networks", "atrc.supernets", _FORMER),
    "atrc.paths": ("atrc.experiments.paths",),
    "atrc.plan": ("atrc.experiments.plan", "atrc.experiments", "atrc.runs.names"),
    "atrc.predict": ("atrc.inference.predict", _FORMER),
    "atrc.recovery": ("atrc.experiments.recovery",),
    "atrc.resource_table": ("analysis.resources",),
    "atrc.resources": ("atrc.costs",),
    "atrc.training.augmentation": ("atrc.setup", _FORMER),
    "atrc.training.checkpoint": ("atrc.runs.checkpoint",),
    "atrc.training.evaluation": ("atrc.inference.evaluation",),
    "atrc.training.prediction_files": ("atrc.inference.prediction_files",),
}
"""Former name of a module -> the modules that have its names now."""
NAMES: dict[str, dict[str, str]] = {
    "atrc.data": {"Problem": "atrc.data:Finding"},
    "atrc.testing": {"check_search_network": "atrc.testing:check_multi_task_supernet"},
    "atrc.training": {
        **dict.fromkeys(("NoNetwork", "as_label", "decode_predictions", "evaluate"), "atrc.inference:"),
        **dict.fromkeys(("load_checkpoint", "save_checkpoint"), "atrc.runs.checkpoint:"),
        **dict.fromkeys(("evaluate_split", "load_learner"), f"{_FORMER}:"),
        "measure": "atrc.inference:update_metrics",
        "pick_device": "atrc.machine.devices:pick_device",
    },
    "atrc.training.scoring": {"Setting": f"{_FORMER}:Setting"},
}
"""Module -> former name in it -> its place now, as ``module:name``; without a name, the same one."""


def former_names(module: str) -> Callable[[str], Any]:
    """Returns a ``__getattr__`` that finds the former names of a module, with a warning."""

    def find(name: str) -> Any:
        if name not in NAMES[module]:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        place, _, now = NAMES[module][name].partition(":")
        found = importlib.import_module(place)
        warnings.warn(f"{module}.{name} has moved to {place}", DeprecationWarning, stacklevel=2)
        return getattr(found, now or name)

    return find


class _Former(ModuleType):
    """A module by its former name, whose names are in several modules now."""

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return sorted({one for place in _places(self) for one in place.__all__})
        if name.startswith("__"):
            raise AttributeError(name)
        for place in _places(self):
            if hasattr(place, name):
                return getattr(place, name)
        now = _said(self.__name__)
        raise AttributeError(f"{self.__name__} has moved to {now}, and {name!r} is gone; the changelog says where to")


def _said(module: str) -> str:
    """Returns the new places of a module, for a message."""
    return " and ".join(place for place in MOVED[module] if place != _FORMER)


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
        places = MOVED[module.__name__]
        if len(places) == 1:  # the module itself, by two names
            sys.modules[module.__name__] = importlib.import_module(places[0])
        warnings.warn(f"{module.__name__} has moved to {_said(module.__name__)}", DeprecationWarning, stacklevel=2)


sys.meta_path.append(_Finder())
