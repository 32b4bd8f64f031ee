"""Tables: written as CSV files for programs, and numbers as people read them."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from atrc.machine.files import write_text

__all__ = ["DASH", "decimals", "number", "plus_minus", "write_table"]

DASH = "–"
"""Stands in a cell that has no number."""


def write_table(table: pd.DataFrame, folder: Path, name: str) -> Path:
    """Writes ``name.csv`` into the folder, whole or not at all, and returns its path.

    Numbers have up to ten digits. The same table gives the same bytes.
    """
    path = folder / f"{name}.csv"
    write_text(path, table.to_csv(index=False, float_format="%.10g", lineterminator="\n"))
    return path


def decimals(values: pd.Series) -> int:
    """Decimals that show about four digits of the largest mean."""
    largest = float(values.abs().max())
    return 2 if math.isnan(largest) or largest == 0 else min(4, max(0, 3 - math.floor(math.log10(largest))))


def number(value: float, digits: int, *, sign: bool = False) -> str:
    """Fixed decimals, with a sign if wanted; a dash for NaN."""
    return DASH if math.isnan(value) else f"{value:{'+' if sign else ''}.{digits}f}"


def plus_minus(mean: float, std: float, digits: int, *, sign: bool = False) -> str:
    """``mean ±std``; a dash for NaN."""
    if math.isnan(mean):
        return DASH
    signed = sign and round(mean, digits) != 0
    return f"{number(mean, digits, sign=signed)} ±{number(std, digits)}"
