"""Options that are paths, and their absolute form, which means the same from any folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

__all__ = ["PathOptions", "in_full", "options_in_full"]


class PathOptions:
    """Base class of registered classes: names the options that are paths. A run stores these as absolute paths.

    Example::

        @DATASETS.register("photos")
        class Photos(Dataset):
            paths = ("folder",)

    Attributes:
        paths: Names of the options that are a path or a list of paths.
    """

    paths: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def with_full_paths(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the options with absolute paths, see `in_full`. Classes with special options override it."""
        return options_in_full(cls.paths, options)


def options_in_full(names: Iterable[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options; those with these names become absolute paths."""
    changed = {name: in_full(options[name]) for name in names if name in options}
    return {**options, **changed}


def in_full(value: Any) -> Any:
    """Returns a path, or every path of a list, as an absolute path.

    Mappings and URLs stay as they are. So does a word without folder and suffix, unless a file or folder of the
    working directory has this name.
    """
    if isinstance(value, list | tuple):
        return [in_full(one) for one in value]
    if not isinstance(value, str | Path) or not str(value) or "://" in str(value):
        return value
    path = Path(os.path.expanduser(value))
    if len(path.parts) == 1 and not path.suffix and not path.exists():
        return value
    return str(path.absolute())
