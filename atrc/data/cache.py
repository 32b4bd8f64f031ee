"""Derived data: the keys under which it is kept."""

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
