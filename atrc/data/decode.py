"""Reads image and label files as arrays, with errors that name the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps

from searchspace.errors import InputError

__all__ = [
    "LABEL_SUFFIXES",
    "UNREADABLE",
    "has_palette",
    "image_size",
    "orientation",
    "read_image",
    "read_label",
    "read_matlab",
    "resize_image",
]

T = TypeVar("T")

UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
"""Errors that Pillow and NumPy raise for a file that is cut off or has another format than its name says."""

_DEEP_MODES = frozenset({"I", "I;16", "I;16B", "I;16L", "F"})
"""Pillow modes with more than 8 bits. Pillow would clip them to white when it converts them to RGB."""


_ORIENTATION = 0x0112
"""EXIF tag that says how viewers turn a stored image; 1 means not at all."""


def read_image(path: Path, *, upright: bool = False) -> np.ndarray:
    """Reads an image as ``(H, W, 3)`` uint8 RGB. Grey and palette images become RGB; transparency is dropped.

    Args:
        path: The file.
        upright: Whether to turn the image as its EXIF tag says, like viewers do. Otherwise pixels stay as they are
            stored, like those of label files, which have no such tag.

    Raises:
        InputError: The file does not exist or is no complete 8-bit image.
    """

    def read() -> np.ndarray:
        with Image.open(path) as image:
            if image.mode in _DEEP_MODES:
                raise ValueError(f"pixels of mode {image.mode}, expected 8 bits per channel")
            return np.array((ImageOps.exif_transpose(image) if upright else image).convert("RGB"))

    return _guarded(path, "image", read)


def image_size(path: Path) -> tuple[int, int]:
    """Returns ``(H, W)`` of an image file; reads its header only."""

    def read() -> tuple[int, int]:
        with Image.open(path) as image:
            return image.height, image.width

    return _guarded(path, "image", read)


def has_palette(path: Path) -> bool:
    """Returns whether the pixels of an image file are indices into a palette."""

    def read() -> bool:
        with Image.open(path) as image:
            return image.mode == "P"

    return _guarded(path, "image", read)


def orientation(path: Path) -> int:
    """Returns the EXIF orientation of an image file, 1 to 8; 1 if it is upright or has no such tag."""

    def read() -> int:
        with Image.open(path) as image:
            return int(image.getexif().get(_ORIENTATION, 1))

    return _guarded(path, "image", read)


def read_label(path: Path) -> np.ndarray:
    """Reads the unchanged values of a label file: ``(H, W)``, or ``(H, W, C)`` with C > 1.

    A PNG holds whole numbers (a palette image: indices, not colours). An NPY file holds an array of numbers.

    Raises:
        InputError: The file does not exist, is no complete image or array, or has another type.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: labels are read from {' or '.join(LABEL_SUFFIXES)}, not {path.suffix!r}")
    label = _guarded(path, "label", lambda: reader(path))
    if label.ndim == 3 and label.shape[2] == 1:
        label = label[..., 0]
    if label.ndim not in (2, 3) or label.dtype.kind not in "buif":
        raise InputError(f"{path}: expected numbers as H x W or H x W x C, got {label.dtype} {label.shape}")
    return label


def read_matlab(path: Path, variable: str) -> np.ndarray:
    """Reads a variable of a MATLAB file (up to version 7.2) with SciPy: cells and structs become object arrays.

    Raises:
        InputError: The file does not exist, is no MATLAB file, or lacks the variable.
    """
    from scipy.io import loadmat  # deferred: most datasets have no such file

    def read() -> np.ndarray:
        try:
            content = loadmat(path, variable_names=[variable])
        except FileNotFoundError:
            raise
        except Exception as error:  # SciPy may raise any error for a damaged file
            raise ValueError(f"{type(error).__name__}: {error}") from None
        if variable not in content:
            raise ValueError(f"it holds no variable {variable!r}")
        return np.asarray(content[variable])

    return _guarded(path, "MATLAB file", read)


def resize_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resamples ``(H, W, 3)`` uint8 to ``size`` = (rows, columns), bilinearly and without aliasing."""
    if image.shape[:2] == size:
        return image
    return np.array(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))


def _read_png(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image)


def _read_npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except ValueError as error:
        if "pickle" not in str(error):
            raise
        # NumPy takes any other format for a pickle, and its message says how to load one
        raise ValueError("no array of numbers in NumPy's format") from None


_READERS: dict[str, Callable[[Path], np.ndarray]] = {".png": _read_png, ".npy": _read_npy}

LABEL_SUFFIXES = tuple(_READERS)
"""File types that labels may have."""


def _guarded(path: Path, noun: str, read: Callable[[], T]) -> T:
    try:
        return read()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file ({noun})") from None
    except UNREADABLE as error:
        reason = " ".join(str(error).replace(str(path), "the file").split())
        raise InputError(f"{path}: not readable as {noun} ({reason})") from None
