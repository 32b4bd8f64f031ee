"""Keys for derived data, and maps that are kept under them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from atrc.data.decode import UNREADABLE
from atrc.machine.files import writing

__all__ = ["fingerprint", "hashed", "kept_map"]

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
