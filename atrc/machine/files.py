"""Writes files and folders completely or not at all: under a temporary name, synced, then renamed."""

from __future__ import annotations

import gzip
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from searchspace.errors import InputError

__all__ = [
    "atomic_folder",
    "cache_root",
    "json_text",
    "sync",
    "umask",
    "write_errors_as_input_errors",
    "write_gzip",
    "write_json",
    "write_text",
    "writing",
]


def cache_root() -> Path:
    """``$ATRC_CACHE`` if set, else ``$XDG_CACHE_HOME/atrc``, else ``~/.cache/atrc``. It need not exist yet."""
    own = os.environ.get("ATRC_CACHE")
    if own:
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared).expanduser() if shared else Path.home() / ".cache") / "atrc"


@contextmanager
def writing(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Yields an open temporary file beside ``path``, and renames it to ``path`` if the block ends without an error.

    Args:
        path: The file to write or to replace; a missing folder is made.
        mode: ``"wb"``, or ``"w"`` for UTF-8 text.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~umask())  # mkstemp's files are private
        os.replace(temporary, path)
        sync(path.parent)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


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


@contextmanager
def write_errors_as_input_errors(path: Path) -> Iterator[None]:
    """Turns a failure to write, such as a full disk, into an InputError of one line.

    Raises:
        InputError: The block raised an `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 text file."""
    with writing(path, "w") as file:
        file.write(text)


def write_gzip(path: Path, text: str) -> None:
    """Writes a compressed UTF-8 file. The same text gives the same bytes."""
    with writing(path) as file, gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
        packed.write(text.encode())


def write_json(path: Path, data: Any) -> None:
    """Writes indented JSON; see `json_text`."""
    write_text(path, json_text(data, indent=2) + "\n")


def json_text(data: Any, indent: int | None = None) -> str:
    """Returns mappings, sequences and plain values as JSON. A number that is not finite becomes null.

    JSON knows no NaN, and other programs refuse a file that holds one.
    """
    return json.dumps(_finite(data), indent=indent, ensure_ascii=False, allow_nan=False)


def _finite(data: Any) -> Any:
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, Mapping):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return data


def sync(path: Path) -> None:
    """Waits until a file or folder is on the disk. Does nothing if it cannot be opened (folders on some systems)."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def umask() -> int:
    """Returns the umask of the process, which can be read only by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
