"""Where derived data is kept, and how a folder of it appears all at once or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from atrc.files import sync, umask

__all__ = ["atomic_folder"]


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
