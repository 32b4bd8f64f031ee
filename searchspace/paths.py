"""Options that are paths. Written in full, they mean the same from any folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

__all__ = ["PathOptions", "in_full", "options_in_full"]


class PathOptions:
    """Base of what is registered: says which of its options are paths. A run keeps those in full.

    Example::

        @DATASETS.register("photos")
        class Photos(Dataset):
            paths = ("folder",)

    Attributes:
        paths: Names of the options that are a path, or a list of paths.
    """

    paths: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def with_full_paths(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options with their paths in full, see `in_full`. A class whose option may be something else says so."""
        return options_in_full(cls.paths, options)


def options_in_full(names: Iterable[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """Options, those of these names in full."""
    changed = {name: in_full(options[name]) for name in names if name in options}
    return {**options, **changed}


def in_full(value: Any) -> Any:
    """A path from the root of the file system, or a list of such.

    A mapping stays as it is. So does a URL, and a word without folder and suffix that names no file or folder here.
    """
    if isinstance(value, list | tuple):
        return [in_full(one) for one in value]
    if not isinstance(value, str | Path) or not str(value) or "://" in str(value):
        return value
    path = Path(os.path.expanduser(value))
    if len(path.parts) == 1 and not path.suffix and not path.exists():
        return value
    return str(path.absolute())
