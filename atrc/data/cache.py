"""Keys for derived data, and ways to write it so that it appears complete or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from atrc.data.decode import UNREADABLE
from atrc.files import sync, umask, writing

__all__ = ["atomic_folder", "fingerprint", "hashed", "kept_map"]

_KEY = "atrc"
"""Text chunk of a cached PNG that holds its key."""


def hashed(facts: Any) -> str:
    """Hashes facts to 16 characters. Facts can be written as JSON, or have a ``repr`` that says everything."""
    return hashlib.sha256(json.dumps(facts, default=repr).encode()).hexdigest()[:16]


def fingerprint(file: Path) -> tuple[str, int, int, int] | None:
    """Returns path, size and times of a file, which change when its content does; None if the file is missing.

    The last number is the time of the last change of any kind (ctime). It also changes if another file of the same
    name and size is copied or unpacked to the same place with its old modification time.
    """
    try:
        facts = file.stat()
    except OSError:
        return None
    return str(file.absolute()), facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def kept_map(path: Path, key: str, make: Callable[[], np.ndarray]) -> np.ndarray:
    """Returns ``make()``, or its earlier result under the same key.

    If two processes are first at the same time, both make the map, and one of their files stays. A damaged file, or
    one with another key, is replaced.

    Args:
        path: PNG file that keeps the map.
        key: Text that changes when the map would.
        make: Function that returns an ``(H, W)`` uint8 map.
    """
    try:
        with Image.open(path) as image:
            if image.info.get(_KEY) == key:
                return np.array(image)
    except UNREADABLE:
        pass
    made = make()
    text = PngInfo()
    text.add_text(_KEY, key)
    with writing(path) as file:
        Image.fromarray(made).save(file, format="PNG", pnginfo=text)
    return made


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yields a temporary folder beside ``path``, and renames it to ``path`` if the block ends without an error.

    All files are on the disk before the rename, so a ``path`` that exists is complete, even after a power loss. If
    another process made ``path`` in the meantime, its folder stays and this one is removed.

    Raises:
        OSError: The folder cannot be made, written or renamed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield temporary
        # mkdtemp makes private folders; a cache on a shared disk should have the usual permissions
        temporary.chmod(0o777 & ~umask())
        for folder, _, files in os.walk(temporary, topdown=False):
            for name in files:
                sync(Path(folder) / name)
            sync(Path(folder))
        try:
            temporary.rename(path)
        except OSError:
            if not path.is_dir():
                raise
        else:
            sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
