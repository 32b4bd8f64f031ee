"""Which samples of a dataset on disk can be read: found once, and remembered until a file changes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from atrc.data.cache import fingerprint, hashed
from atrc.machine.files import write_json
from searchspace.errors import InputError

__all__ = ["HINT", "IMAGE", "Reader", "refuse_absent", "sift"]

IMAGE = "image"
"""What a sample's photograph is called among its parts; the others are called as their tasks."""

HINT = "atrc data check lists all such files, --skip-bad leaves their samples out"
"""What a user can do about a sample that cannot be used."""

_VERSION = 1
"""Part of every key; raised when other samples count as readable than before."""


class Reader(Protocol):
    """Reads the parts of samples from files."""

    def facts(self, part: str) -> Any:
        """All that decides what the files of a part give, and whether they are refused; without the files."""

    def files(self, entry: str, part: str) -> Sequence[Path]:
        """All files that a part of sample ``entry`` depends on."""

    def read(self, entry: str, part: str) -> np.ndarray:
        """The part itself.

        Raises:
            InputError: It cannot be used; the message names the file.
        """


def sift(
    reader: Reader, ids: Sequence[str], parts: Sequence[str], cache: Path | None, title: str, *, skip_bad: bool
) -> dict[str, str]:
    """Reads every part of every sample; what is wrong with those that cannot be used: id -> the first complaint.

    Args:
        reader: Reads them.
        ids: The samples.
        parts: `IMAGE` and names of tasks.
        cache: Folder in which the outcome is kept, a file for every part; None keeps nothing.
        title: Of the split, for messages.
        skip_bad: Whether samples may be bad, as long as one is left.

    Raises:
        InputError: One may not, or all are.
    """
    found: dict[str, Mapping[str, str]] = {}
    unknown: dict[str, Path | None] = {}
    for part in parts:
        path = None if cache is None else cache / f"{part}-{_key(reader, ids, part)}.json"
        known = None if path is None else _recalled(path)
        if known is None:
            unknown[part] = path
        else:
            found[part] = known
    if not skip_bad:
        refuse_absent(reader, ids, list(unknown), title)
    fresh: dict[str, dict[str, str]] = {part: {} for part in unknown}
    for entry in tqdm(ids, desc=f"{title}: reading", unit="image", disable=not unknown):
        for part in unknown:
            try:
                reader.read(entry, part)
            except InputError as error:
                fresh[part][entry] = str(error)
    for part, path in unknown.items():
        if path is not None:
            write_json(path, fresh[part])
    bad: dict[str, str] = {}
    for part in parts:
        for entry, complaint in {**found, **fresh}[part].items():
            bad.setdefault(entry, complaint)
    bad = {entry: bad[entry] for entry in ids if entry in bad}
    if not skip_bad or len(bad) == len(ids):
        _refuse(bad, title)
    return bad


def refuse_absent(reader: Reader, ids: Sequence[str], parts: Sequence[str], title: str) -> None:
    """Looks for all files, without reading any: at once, and not after minutes.

    Raises:
        InputError: One is not there.
    """
    absent = {
        entry: f"{file}: no such file"
        for entry in ids
        for part in reversed(parts)  # so that the first part's stays
        for file in reader.files(entry, part)
        if not file.exists()
    }
    _refuse(absent, title)


def _refuse(bad: Mapping[str, str], title: str) -> None:
    """Names the first bad sample's file, if there is one, and how to see or leave out all of them."""
    if not bad:
        return
    first = next(iter(bad.values()))
    others = f"; {len(bad)} samples of {title} cannot be read" if len(bad) > 1 else ""
    raise InputError(f"{first}{others} ({HINT})")


def _key(reader: Reader, ids: Sequence[str], part: str) -> str:
    files = [[entry, *map(fingerprint, reader.files(entry, part))] for entry in ids]
    return hashed([_VERSION, reader.facts(part), files])


def _recalled(path: Path) -> dict[str, str] | None:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None
