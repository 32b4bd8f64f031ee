"""Writes a table as CSV, whole or not at all, and the same bytes for the same table."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from atrc.machine.files import write_text

__all__ = ["write_table"]


def write_table(table: pd.DataFrame, folder: Path, name: str) -> Path:
    """Writes ``name.csv`` into the folder, numbers with up to ten digits, and returns its path."""
    path = folder / f"{name}.csv"
    write_text(path, table.to_csv(index=False, float_format="%.10g", lineterminator="\n"))
    return path
