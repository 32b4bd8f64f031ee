"""Derived data: under which keys it is kept, and how it appears all at once or not at all."""

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
"""The text chunk of a kept map that says what it was made of."""


def hashed(facts: Any) -> str:
    """Sixteen characters that change when the facts do: JSON-ready ones, or what says all in its ``repr``."""
    return hashlib.sha256(json.dumps(facts, default=repr).encode()).hexdigest()[:16]


def fingerprint(file: Path) -> tuple[str, int, int, int] | None:
    """Path, bytes and times of a file, which change when its content does; None for a file that is not there.

    The last time is that of the last change of any kind: a file of the same name and size may have been put in its
    place with the old modification time, as copying and unpacking keep it.
    """
    try:
        facts = file.stat()
    except OSError:
        return None
    return str(file.absolute()), facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def kept_map(path: Path, key: str, make: Callable[[], np.ndarray]) -> np.ndarray:
    """``make()``, or what it gave before under the same key.

    Processes that are first at once both make the map, and one of their files stays. A damaged file, and one of
    another key, is replaced.

    Args:
        path: The PNG file.
        key: What the map depends on.
        make: Gives an ``(H, W)`` uint8 map.
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
    """A temporary sibling of ``path`` to fill, which becomes ``path`` when the block ends without an error.

    Every file is on the disk before the rename, so whoever finds ``path`` finds all of it, also after a power cut.
    Where somebody else made ``path`` in the meantime, theirs stays and ours is thrown away.

    Raises:
        OSError: The folder cannot be made, written or renamed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield temporary
        # mkdtemp's folders are private; a cache on a shared disk should be as readable as any other folder
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
