"""A config's plugins: modules and files that register parts. They are imported before any name is looked up."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path

from atrc.config._schema import Config
from searchspace.errors import InputError
from searchspace.registry import forget

__all__ = ["import_plugins", "is_file", "source_of"]

_PREFIX = "atrc_plugin_"
"""The start of the module name of a plugin file."""


def import_plugins(config: Config) -> None:
    """Imports the config's plugins, which register what they define.

    A plugin is imported once. If its import fails, nothing of it is kept, so it can be repaired and imported again.
    Two files are two plugins, even if they have the same name.

    Raises:
        InputError: A file or module does not exist or fails to import, or a name is registered twice.
    """
    for plugin in config.plugins:
        try:
            if is_file(plugin):
                _import_file(Path(plugin))
            else:
                _import_module(plugin)
        except InputError:
            raise
        except Exception as error:  # a plugin is foreign code and may fail in any way
            raise InputError(f"plugin {plugin!r} cannot be imported: {type(error).__name__}: {error}") from error


def is_file(plugin: str) -> bool:
    """Returns whether a plugin is the path of a file and not the name of a module."""
    return plugin.endswith(".py")


def _import_module(name: str) -> None:
    if name in sys.modules:
        return
    try:
        importlib.import_module(name)
    except BaseException:
        forget(name)
        raise


def _import_file(path: Path) -> None:
    path = path.expanduser().resolve()
    name = _module_name(path)
    if name in sys.modules:
        return
    if not path.is_file():
        raise InputError(f"plugin file {path} does not exist")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs, since dataclasses of the plugin look up their module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        forget(name)
        raise


def _module_name(path: Path) -> str:
    """Returns a module name that is the same in every process and different for every file."""
    return f"{_PREFIX}{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"


def source_of(entry: object) -> str:
    """The place where a registered entry is defined: the file of a plugin, or the module of a package."""
    module = str(getattr(entry, "__module__", ""))
    file = getattr(sys.modules.get(module), "__file__", None)
    return str(file) if file and module.startswith(_PREFIX) else module
