"""Open registries: a name for every space, strategy, task, dataset, backbone, context and distillation module.

A package outside this tree adds an entry either with the decorator::

    from atrc.tasks import TASKS

    @TASKS.register("albedo")
    class Albedo(Task): ...

or, so that it is found without being imported first, with an entry point in its ``pyproject.toml``::

    [project.entry-points."atrc.tasks"]
    albedo = "my_package.albedo:Albedo"
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

from searchspace.calls import call_with_options
from searchspace.errors import InputError, UnknownNameError

__all__ = ["Registry", "forget"]

T = TypeVar("T")
S = TypeVar("S")

_REGISTRIES: WeakValueDictionary[int, Registry[Any]] = WeakValueDictionary()
"""All there are, for `forget`."""


class Registry(Mapping[str, T], Generic[T]):
    """A mapping from name to class or factory, filled by decorators and by entry points.

    Args:
        noun: What an entry is called in messages, e.g. ``"task"``.
        group: The entry-point group that installed packages use, e.g. ``"atrc.tasks"``.
    """

    def __init__(self, noun: str, group: str) -> None:
        self.noun = noun
        self.group = group
        self._entries: dict[str, T] = {}
        self._entry_points_read = False
        _REGISTRIES[id(self)] = self

    def register(self, name: str) -> Callable[[S], S]:
        """Decorator that files a class or function under ``name``.

        Raises:
            InputError: Another object already has that name. The same definition may register again
                (a reloaded module does).
        """

        def file(entry: S) -> S:
            self._add(name, entry)  # type: ignore[arg-type]
            return entry

        return file

    def _add(self, name: str, entry: T) -> None:
        known = self._entries.get(name)
        if known is not None and _origin(known) != _origin(entry):
            raise InputError(
                f"{self.noun} {name!r} is registered twice: by {_origin(known)} and by {_origin(entry)}"
                f"{_files(known, entry)}"
            )
        self._entries[name] = entry

    def _read_entry_points(self) -> None:
        if self._entry_points_read:
            return
        self._entry_points_read = True  # before loading, since a package may look names up while it is imported
        try:
            for point in entry_points(group=self.group):
                self._add(point.name, self._load(point))
        except InputError:
            self._entry_points_read = False  # a broken package is reported every time, not only the first
            raise

    def _load(self, point: EntryPoint) -> T:
        try:
            entry: T = point.load()
        except Exception as error:
            raise InputError(
                f"{self.noun} {point.name!r}, declared as the entry point {point.value!r} of {self.group}, "
                f"cannot be loaded: {error}"
            ) from error
        return entry

    def __getitem__(self, name: str) -> T:
        if name not in self._entries:
            self._read_entry_points()
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownNameError(self.noun, name, sorted(self)) from None

    def create(self, name: str, options: Mapping[str, Any], /, *own: Any, **ours: Any) -> Any:
        """Calls the entry ``name`` with a user's options; see `searchspace.calls.call_with_options`."""
        entry: Any = self[name]
        return call_with_options(f"{self.noun} {name!r}", entry, options, *own, **ours)

    def __contains__(self, name: object) -> bool:
        self._read_entry_points()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        self._read_entry_points()
        return iter(self._entries)

    def __len__(self) -> int:
        self._read_entry_points()
        return len(self._entries)


def forget(module: str) -> None:
    """Takes what a module registered out of every registry: its import failed, and it may be tried again."""
    for registry in list(_REGISTRIES.values()):
        for name, entry in list(registry._entries.items()):
            if getattr(entry, "__module__", None) == module:
                del registry._entries[name]


def _origin(entry: object) -> str:
    """``module.qualname`` of a class or function."""
    return f"{getattr(entry, '__module__', '?')}.{getattr(entry, '__qualname__', repr(entry))}"


def _files(*entries: object) -> str:
    """``" (FILE and FILE)"``, where entries were defined."""
    modules = [sys.modules.get(getattr(entry, "__module__", "")) for entry in entries]
    files = [str(file) for module in modules if (file := getattr(module, "__file__", None)) is not None]
    return f" ({' and '.join(files)})" if files else ""
