"""Pearson's and Spearman's correlation with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from analysis.bootstrap import bootstrap

__all__ = ["correlate"]

_SCALES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "pearson": lambda values: values,
    "spearman": partial(rankdata, axis=-1),
}


def correlate(x: np.ndarray, y: np.ndarray, *, seed: int = 0) -> pd.DataFrame:
    """Correlates two quantities of the same things.

    Args:
        x: ``(n,)`` values.
        y: ``(n,)`` values of the same things, in the same order; pairs with a missing value are left out.
        seed: Seed of the bootstrap, which resamples the things.

    Returns:
        ``coefficient`` (``pearson``, ``spearman``), ``value``, ``low``, ``high`` (95 % interval), ``n``. The value is
        missing (NaN) for fewer than three things, or where one of the quantities does not vary.
    """
    pairs = np.stack([np.asarray(x, dtype=float), np.asarray(y, dtype=float)])
    pairs = pairs[:, np.isfinite(pairs).all(0)]
    n = pairs.shape[1]
    rows = []
    for name, scale in _SCALES.items():
        of = partial(_coefficient, pairs[0], pairs[1], scale)
        value = float(of(np.arange(n)[None])[0]) if n > 2 else np.nan
        low, high = bootstrap(of, n, seed=seed) if n > 2 else (np.nan, np.nan)
        rows.append({"coefficient": name, "value": value, "low": low, "high": high, "n": n})
    return pd.DataFrame(rows)


def _coefficient(
    x: np.ndarray, y: np.ndarray, scale: Callable[[np.ndarray], np.ndarray], drawn: np.ndarray
) -> np.ndarray:
    """``(R,)`` for ``(R, n)`` indices; NaN where one of the drawn sides is constant."""
    a, b = scale(x[drawn]), scale(y[drawn])
    varies = (np.ptp(a, axis=1) > 0) & (np.ptp(b, axis=1) > 0)
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    norm = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    return np.divide((a * b).sum(1), norm, out=np.full(len(a), np.nan), where=varies)
