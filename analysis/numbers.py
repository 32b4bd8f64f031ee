"""How tables for people write numbers: as many decimals as mean something, and a dash where there is none."""

from __future__ import annotations

import math

import pandas as pd

__all__ = ["DASH", "decimals", "number", "plus_minus"]

DASH = "–"


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
