"""Files that results are added to as they come, so that a killed command loses no more than what was being made."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from atrc.machine.files import sync
from searchspace.errors import InputError
from searchspace.text import read_text

__all__ = ["Journal"]


class Journal:
    """A file with a JSON object per line. The first one says what all others belong to.

    Args:
        path: Path of the file; it is made when something is added.
        header: What its lines belong to, as plain values. A file with another header is refused.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self.path = path
        self._header = json.loads(json.dumps(header))  # as it will be read

    def read(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yields the lines after the header, each with its file and number for messages.

        A last line that a kill cut off is removed.

        Raises:
            InputError: The file cannot be read, is no journal, or has another header.
        """
        try:
            text = read_text(self.path)
        except FileNotFoundError:
            return
        except (OSError, UnicodeError) as error:
            raise InputError(f"{self.path} cannot be read: {error}") from None
        lines = text.splitlines(keepends=True)
        if lines and not lines[-1].endswith("\n"):
            os.truncate(self.path, len(text.encode()) - len(lines.pop().encode()))
        for number, line in enumerate(lines, start=1):
            where = f"{self.path}, line {number}"
            try:
                content = json.loads(line)
            except ValueError:
                content = None
            if not isinstance(content, dict):
                raise InputError(f"{where}: expected a JSON object")
            if number == 1:
                self._check(content)
            else:
                yield where, content

    def _check(self, header: Mapping[str, Any]) -> None:
        for key in {**self._header, **header}:
            was, now = header.get(key), self._header.get(key)
            if was != now:
                key, was, now = _deepest(key, was, now)
                raise InputError(
                    f"{self.path} was begun with other settings: {key} was {was!r} and is {now!r}; change it back, "
                    "or choose another folder"
                )

    def append(self, content: Mapping[str, Any]) -> None:
        """Adds a line, which is on the disk when this returns."""
        fresh = not self.path.exists() or not self.path.stat().st_size
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            for line in ([self._header] if fresh else []) + [dict(content)]:
                file.write(json.dumps(line) + "\n")
        sync(self.path)


def _deepest(key: str, was: Any, now: Any) -> tuple[str, Any, Any]:
    """Follows mappings to the first value that differs."""
    while isinstance(was, dict) and isinstance(now, dict):
        part = next(part for part in {**was, **now} if was.get(part) != now.get(part))
        key, was, now = f"{key}.{part}", was.get(part), now.get(part)
    return key, was, now
