"""Open registries, which map names to spaces, strategies, tasks, datasets, backbones, contexts and other parts.

A package outside this tree adds an entry either with the decorator::

    from atrc.tasks import TASKS

    @TASKS.register("albedo")
    class Albedo(Task): ...

or, so that it is found without being imported first, with an entry point in its ``pyproject.toml``::

    [project.entry-points."atrc.tasks"]
    albedo = "my_package.albedo:Albedo"

An entry point that cannot be loaded gives a warning. Its name raises an `InputError`; all other names work.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from threading import RLock
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

from searchspace.calls import call_with_options
from searchspace.errors import InputError, UnknownNameError

__all__ = ["Registry", "forget"]

T = TypeVar("T")
S = TypeVar("S")

_REGISTRIES: WeakValueDictionary[int, Registry[Any]] = WeakValueDictionary()
"""All registries, for `forget`."""


class Registry(Mapping[str, T], Generic[T]):
    """A mapping from name to class or factory, filled by decorators and by entry points.

    A name is looked up among the registered entries, then in the home, then among the entry points.

    Args:
        noun: Name of an entry in messages, e.g. ``"task"``.
        group: The entry-point group that installed packages use, e.g. ``"atrc.tasks"``.
        home: Modules and packages that register the project's own entries. They are imported at the first look-up,
            or before an outside module registers an entry, so that the project's names come first.
    """

    def __init__(self, noun: str, group: str, home: Sequence[str] = ()) -> None:
        self.noun = noun
        self.group = group
        self._home = tuple(home)
        self._entries: dict[str, T] = {}
        self._broken: dict[str, str] = {}  # entry points that cannot be loaded -> the message
        self._home_imported = False
        self._entry_points_read = False
        self._filling = RLock()  # another thread waits until all names are there; the same one goes on
        _REGISTRIES[id(self)] = self

    def register(self, name: str) -> Callable[[S], S]:
        """Returns a decorator that registers a class or function under ``name``.

        Raises:
            InputError: Another object already has that name. The same definition may register again, as in a reloaded
                module.
        """

        def file(entry: S) -> S:
            self._add(name, entry)  # type: ignore[arg-type]
            return entry

        return file

    def _add(self, name: str, entry: T) -> None:
        if self._home and not self._at_home(getattr(entry, "__module__", "")):
            self._import_home()  # now, so that a name of the home is refused here and not in a later look-up
        known = self._entries.get(name)
        if known is not None and _origin(known) != _origin(entry):
            raise InputError(
                f"{self.noun} {name!r} is registered twice: by {_origin(known)} and by {_origin(entry)}"
                f"{_files(known, entry)}"
            )
        self._entries[name] = entry

    def _at_home(self, module: str) -> bool:
        """Returns whether a module is one of the home, or in a package of it."""
        return any(module == home or module.startswith(f"{home}.") for home in self._home)

    def _import_home(self) -> None:
        with self._filling:
            if self._home_imported:
                return
            self._home_imported = True  # before the import: a module of the home may look into the registry, too
            try:
                for module in self._home:
                    importlib.import_module(module)
            except BaseException:
                self._home_imported = False  # the next look-up tries again, instead of missing names
                raise

    def _read_entry_points(self) -> None:
        with self._filling:
            if self._entry_points_read:
                return
            self._entry_points_read = True  # before loading: a package may look names up while it is imported
            try:
                for point in entry_points(group=self.group):
                    if point.name not in self._broken:
                        self._load(point)
            except BaseException:
                self._entry_points_read = False  # a name that is taken is reported every time, not only the first
                raise

    def _load(self, point: EntryPoint) -> None:
        try:
            entry: T = point.load()
        except Exception as error:  # a package is foreign code and may fail in any way
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            message = (
                f"{self.noun} {point.name!r}, declared as the entry point {point.value!r} of {self.group}, "
                f"cannot be loaded: {reason}"
            )
            self._broken[point.name] = message
            warnings.warn(message, UserWarning, stacklevel=1)  # the caller can do nothing about it
        else:
            self._add(point.name, entry)

    def _fill(self) -> None:
        """Imports the home and reads the entry points, so that all names are known."""
        self._import_home()
        self._read_entry_points()

    def __getitem__(self, name: str) -> T:
        if name not in self._entries:
            self._import_home()
        if name not in self._entries:
            self._read_entry_points()
        try:
            return self._entries[name]
        except KeyError:
            if name in self._broken:
                raise InputError(self._broken[name]) from None
            raise UnknownNameError(self.noun, name, sorted(self)) from None

    def create(self, name: str, options: Mapping[str, Any], /, *own: Any, **ours: Any) -> Any:
        """Calls the entry ``name`` with a user's options; see `searchspace.calls.call_with_options`."""
        entry: Any = self[name]
        return call_with_options(f"{self.noun} {name!r}", entry, options, *own, **ours)

    def __contains__(self, name: object) -> bool:
        self._fill()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        self._fill()
        return iter(self._entries)

    def __len__(self) -> int:
        self._fill()
        return len(self._entries)


def forget(module: str) -> None:
    """Removes the entries of a module from every registry, so that a failed import can be repeated.

    If the module belongs to the home of a registry, the registry imports its home again at the next look-up.
    """
    for registry in list(_REGISTRIES.values()):
        registry._home_imported &= not registry._at_home(module)
        for name, entry in list(registry._entries.items()):
            if getattr(entry, "__module__", None) == module:
                del registry._entries[name]


def _origin(entry: object) -> str:
    """Returns ``module.qualname`` of a class or function."""
    return f"{getattr(entry, '__module__', '?')}.{getattr(entry, '__qualname__', repr(entry))}"


def _files(*entries: object) -> str:
    """Returns ``" (FILE and FILE)"``, the files in which entries were defined, or an empty text."""
    modules = [sys.modules.get(getattr(entry, "__module__", "")) for entry in entries]
    files = [str(file) for module in modules if (file := getattr(module, "__file__", None)) is not None]
    return f" ({' and '.join(files)})" if files else ""
