"""Finds the samples of a dataset on disk that cannot be read, and remembers them until a file changes."""

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
"""Name of the image among the parts of a sample; labels have the name of their task."""

HINT = "atrc data check lists all such files, --skip-bad leaves their samples out"
"""Hint for messages about samples that cannot be used."""

_VERSION = 1
"""Part of every key. It is increased when other samples count as readable than before."""


class Reader(Protocol):
    """Reads the parts of samples from files."""

    def facts(self, part: str) -> Any:
        """Returns all facts, apart from the files, that determine a part's arrays and whether it is accepted."""

    def files(self, entry: str, part: str) -> Sequence[Path]:
        """Returns all files that a part of sample ``entry`` depends on."""

    def read(self, entry: str, part: str) -> np.ndarray:
        """Reads the part.

        Raises:
            InputError: The part cannot be used; the message names the file.
        """


def sift(
    reader: Reader, ids: Sequence[str], parts: Sequence[str], cache: Path | None, title: str, *, skip_bad: bool
) -> dict[str, str]:
    """Reads every part of every sample. Returns id -> first error message of the samples that cannot be used.

    Args:
        reader: Reader of the parts.
        ids: Ids of the samples.
        parts: `IMAGE` and names of tasks.
        cache: Folder that keeps the results, one file per part; None keeps nothing.
        title: Title of the split, for messages.
        skip_bad: Whether samples may be bad, as long as one good sample is left.

    Raises:
        InputError: A sample is bad although none may be, or all are.
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
    """Checks that all files exist, without reading any, so that a missing file is reported at once.

    Raises:
        InputError: A file is missing.
    """
    absent = {
        entry: f"{file}: no such file"
        for entry in ids
        for part in reversed(parts)  # in reverse order, so that the message about the first part stays
        for file in reader.files(entry, part)
        if not file.exists()
    }
    _refuse(absent, title)


def _refuse(bad: Mapping[str, str], title: str) -> None:
    """Raises an InputError about the first bad sample, if there is one, that says how to list or skip all of them."""
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
