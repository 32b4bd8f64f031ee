"""The table of the check, its last line, and the file."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["summary", "table", "write_atomically"]


def table(title: str, status: str, why: str, seconds: float, rows: Sequence[Mapping[str, Any]]) -> str:
    """Returns a section as text: its verdict, and a line for every row, numbers in columns.

    Args:
        title: Title of the section.
        status: Its verdict.
        why: Reason of the verdict.
        seconds: Seconds that it took.
        rows: Rows; those that are ``brief`` are left out unless they failed.
    """
    head = f"\n{title}: {status}{f', {why}' if why else ''} ({seconds:.0f} s)"
    shown = [row for row in rows if row["status"] == "failed" or not row.get("brief")]
    names = list(dict.fromkeys(name for row in shown for name in row["numbers"]))
    lines = [["verdict", "check", *names, ""]] if shown else []
    for row in shown:
        lines.append([row["status"], row["check"], *(_text(row["numbers"].get(name)) for name in names), row["why"]])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    last = len(widths) - 1
    padded = (
        "  ".join(
            cell if at == last else cell.ljust(width) if at < 2 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
    return "\n".join([head, *(f"  {line}" for line in padded)])


def _text(number: Any) -> str:
    if number is None:
        return ""
    if isinstance(number, float):
        return f"{number:.4g}"
    if isinstance(number, list):
        return " .. ".join(map(_text, number))
    return str(number)


def summary(sections: Sequence[str], rows: Sequence[str]) -> tuple[int, str]:
    """Returns the exit status and the last line, from the verdicts of sections and rows."""
    count = Counter(rows)
    said = ", ".join(f"{count[status]} {status}" for status in ("ok", "failed", "note", "skipped", "not run"))
    absent = sum(status in ("skipped", "not run") for status in sections)
    broken = sum(status == "failed" for status in sections)
    if broken or count["failed"]:
        return 1, f"FAILED: {said}; {broken} of {len(sections)} sections failed, {absent} were not run"
    if absent or count["not run"] or count["skipped"]:
        return 2, f"INCOMPLETE: {said}; {absent} of {len(sections)} sections were not run"
    return 0, f"passed: {said}"


def write_atomically(path: Path, text: str) -> None:
    """Writes a file completely or not at all."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
