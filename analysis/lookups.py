"""Comparisons of strategies that looked genotypes up in a table, from the folders that `atrc lookup` made."""

from __future__ import annotations

import gzip
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.bootstrap import bootstrap_mean
from analysis.figures import FORMATS, Press, check_formats, draw_lookup, draw_ranks, save_figure
from analysis.significance import LEVEL, pairwise_tests
from analysis.tables import number, write_table
from searchspace import InputError
from searchspace.text import read_text
from searchspace.yaml_text import YAMLError, read_yaml

__all__ = [
    "FORMAT",
    "LookupAnalysis",
    "Lookups",
    "analyze_lookups",
    "find_lookups",
    "lookup_sentences",
    "read_lookups",
]

FORMAT = "atrc-lookup/1"
ABOUT, SEARCHES = "lookup.yaml", "searches.csv.gz"


@dataclass(frozen=True)
class Lookups:
    """The searches of a folder.

    Attributes:
        folder: The folder.
        about: What was asked, and where it was made; see `atrc.experiments.lookup`.
        frame: ``strategy``, ``seed``, ``trials``, ``samples``, ``seconds``, a column for every choice, ``regret``,
            ``place``: a row whenever the genotype that a search would name has changed, and at its end.
    """

    folder: Path
    about: Mapping[str, Any]
    frame: pd.DataFrame

    @property
    def name(self) -> str:
        """Name of the config."""
        return str(self.about["name"])

    @property
    def full(self) -> float:
        """Number of images of a full training."""
        return float(self.about["budget"]) / float(self.about["trials"])

    @property
    def ends(self) -> pd.DataFrame:
        """The last row of every search."""
        return self.frame.groupby(["strategy", "seed"], sort=False).tail(1)


@dataclass(frozen=True)
class LookupAnalysis:
    """Tables and figures of a folder.

    Attributes:
        lookups: The searches.
        table: Table of `lookup_table`.
        tests: Every pair of strategies; see `analysis.significance.pairwise_tests`. ``difference`` is in points of
            regret.
        tables: Name -> CSV file.
        figures: Name -> its files.
    """

    lookups: Lookups
    table: pd.DataFrame
    tests: pd.DataFrame
    tables: dict[str, Path] = field(default_factory=dict)
    figures: dict[str, tuple[Path, ...]] = field(default_factory=dict)


def find_lookups(paths: Sequence[Path]) -> list[Path]:
    """Returns the folders of look-ups among the paths and below them."""
    return sorted({file.parent for path in paths for file in path.rglob(ABOUT)})


def read_lookups(folder: Path) -> Lookups:
    """Reads a folder.

    Raises:
        InputError: A file is missing or damaged.
    """
    try:
        about = read_yaml(read_text(folder / ABOUT))
        content = gzip.decompress((folder / SEARCHES).read_bytes()).decode()
        frame = pd.read_csv(io.StringIO(content), dtype=dict.fromkeys(about["choices"], str), keep_default_na=False)
    except (OSError, EOFError, UnicodeError, YAMLError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder} holds no searches by look-up that can be read: {error}") from None
    if about.get("format") != FORMAT:
        raise InputError(f"{folder / ABOUT} has format {about.get('format')!r}, expected {FORMAT!r}")
    return Lookups(folder, about, frame.astype({"regret": float, "seconds": float}))


def analyze_lookups(
    folder: Path, out: Path, *, formats: Collection[str] = FORMATS, press: Press | None = None
) -> LookupAnalysis:
    """Writes tables and figures of a folder.

    Files begin with the config's name: ``lookup`` (a row per strategy), ``lookup_tests``, ``lookup_curves``, and the
    figures ``lookup_curves`` and ``lookup_ranks``.

    Args:
        folder: The folder.
        out: Folder of the files; made if missing.
        formats: Formats of the figures.
        press: Processes that write figures.
    """
    chosen, lookups = check_formats(formats), read_lookups(folder)
    ends = lookups.ends
    table, curves = lookup_table(lookups), lookup_curves(lookups)
    tests = pairwise_tests(ends.assign(delta_m=-ends["regret"]))
    made = LookupAnalysis(lookups, table, tests)
    for kind, frame in (("lookup", table), ("lookup_tests", tests), ("lookup_curves", curves)):
        made.tables[kind] = write_table(frame, out, f"{lookups.name}_{kind}")
    figures = {"lookup_curves": draw_lookup(curves, list(table["strategy"]), float(lookups.about["chance"]))}
    most = table["n"].max()
    several = table[table["n"] == most]["strategy"]
    if len(several) > 2 and most > 1:
        pivot = ends.pivot(index="seed", columns="strategy", values="regret")[list(several)].dropna()
        figures["lookup_ranks"] = draw_ranks(-pivot, dict.fromkeys(several, "multi-trial"))
    save = save_figure if press is None else press.save
    made.figures.update(
        {kind: save(figure, out, f"{lookups.name}_{kind}", chosen) for kind, figure in figures.items()}
    )
    return made


def lookup_table(lookups: Lookups) -> pd.DataFrame:
    """One row per strategy, the smallest mean regret first.

    Returns:
        ``strategy``, ``n`` (searches), ``regret`` with ``regret_low`` and ``regret_high`` (95 % bootstrap interval
        over searches), ``regret_median``, ``place`` (mean rank of what was named), ``best`` (share of searches that
        named the best genotype), ``trainings`` (full ones that the images would do for), ``trials``, ``seconds``
        (means).
    """
    rows = []
    for strategy, of in lookups.ends.groupby("strategy", sort=False):
        low, high = bootstrap_mean(of["regret"].to_numpy(float))
        rows.append(
            {
                "strategy": strategy,
                "n": len(of),
                "regret": float(of["regret"].mean()),
                "regret_low": low,
                "regret_high": high,
                "regret_median": float(of["regret"].median()),
                "place": float(of["place"].mean()),
                "best": float((of["place"] == 1).mean()),
                "trainings": float(of["samples"].mean()) / lookups.full,
                "trials": float(of["trials"].mean()),
                "seconds": float(of["seconds"].mean()),
            }
        )
    return pd.DataFrame(rows).sort_values("regret", kind="stable", ignore_index=True)


def lookup_curves(lookups: Lookups) -> pd.DataFrame:
    """Regret of what searches would have named along the way.

    Returns:
        ``strategy``, ``trainings`` (images so far, in full trainings: 1, 2, ... to the budget), ``regret`` (mean),
        ``low`` and ``high`` (95 % bootstrap interval over searches). Points at which some search has not named any
        genotype yet are left out.
    """
    points = np.arange(1, int(lookups.about["trials"]) + 1)
    rows = []
    for strategy, of in lookups.frame.groupby("strategy", sort=False):
        searches = [one for _, one in of.groupby("seed", sort=False)]
        regrets = np.array([_steps(one, points * lookups.full) for one in searches])
        for place, point in enumerate(points):
            values = regrets[:, place]
            if np.isfinite(values).all():
                low, high = bootstrap_mean(values)
                rows.append((strategy, int(point), float(values.mean()), low, high))
    return pd.DataFrame(rows, columns=["strategy", "trainings", "regret", "low", "high"])


def _steps(search: pd.DataFrame, samples: np.ndarray) -> np.ndarray:
    """Returns the regret after so many images; NaN before the first genotype is named."""
    places = np.searchsorted(search["samples"].to_numpy(float), samples * (1 + 1e-9), side="right") - 1
    found = np.where(places >= 0, search["regret"].to_numpy(float)[np.maximum(places, 0)], np.nan)
    return np.asarray(found, dtype=float)


def lookup_sentences(made: LookupAnalysis) -> list[str]:
    """What the tests say, in words."""
    tested = made.tests[made.tests["p"].notna()]
    differ = tested[tested["p_holm"] < LEVEL]
    clear = tested[tested["p_holm"] < LEVEL / 5]
    chance = float(made.lookups.about["chance"])
    return [
        f"A random genotype is {number(chance, 1)} behind the best one.",
        f"{len(differ)} of {len(tested)} pairs of strategies differ at p < {LEVEL:g}, {len(clear)} at p < "
        f"{LEVEL / 5:g} (signed-rank test of regret, paired by seed, Holm's correction).",
    ]
