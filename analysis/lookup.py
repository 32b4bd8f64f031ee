"""Many searches of a table that `atrc lookup` made: regret of each strategy, tests of all pairs, and figures."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from scipy import stats

from analysis.bootstrap import bootstrap_means
from analysis.figures import FORMATS, Press, check_formats, draw_lookup, draw_ranks, save_figure
from analysis.figures.style import MANY
from analysis.significance import LEVEL, holm, hopeless
from analysis.tables import decimals, number, write_table
from atrc.experiments.lookup import CARD, FORMAT, SEARCHES
from searchspace import InputError
from searchspace.text import read_text
from searchspace.yaml_text import YAMLError, read_yaml

__all__ = [
    "LookupAnalysis",
    "Searches",
    "against_random",
    "analyze_lookup",
    "find_lookups",
    "load_lookup",
    "lookup_curves",
    "lookup_screen",
    "lookup_table",
    "lookup_tests",
]

PARTS = 4
"""The table shows regret after each of these equal parts of the trials."""
RANDOM = "random"
"""Registered name of the strategy that others are drawn against."""
UNEQUAL = 0.1
"""Numbers of images that differ by more than this share of the largest are unequal."""
POINTS = 60
"""Points of a curve against images."""


@dataclass(frozen=True)
class Searches:
    """The searches of one folder.

    Attributes:
        card: Content of ``lookup.yaml``.
        frame: Content of ``searches.csv.gz``; see `atrc.experiments.lookup`. A genotype whose training failed has the
            largest regret of the table.
    """

    card: Mapping[str, Any]
    frame: pd.DataFrame

    @property
    def trials(self) -> int:
        """Number of trials of a search."""
        return int(self.card["trials"])

    @property
    def ends(self) -> pd.DataFrame:
        """The last row of every search, by strategy and seed."""
        return self.frame.groupby(["strategy", "seed"], sort=False).tail(1)

    @property
    def paired(self) -> bool:
        """Whether searches with the same seed had the same luck: each genotype had the same training in all."""
        return bool(self.card["draw"] == "seed")

    @property
    def unit(self) -> str:
        """Unit of the regret, where it is known."""
        return "%" if self.card["column"] == "delta_m" else ""

    @property
    def reference(self) -> str | None:
        """Label of random search, if it is there."""
        made = {label: of["strategy"]["name"] for label, of in self.card["strategies"].items()}
        return next((label for label, name in made.items() if name == RANDOM), None)


@dataclass(frozen=True)
class LookupAnalysis:
    """Tables, figures and notes of many searches; made by `analyze_lookup`.

    Attributes:
        searches: The searches.
        table: Table of `lookup_table`.
        tests: Table of `lookup_tests`.
        notes: Warnings to the reader, one line each.
        tables: Name -> CSV file.
        figures: Name -> its files, in the order of `analysis.figures.FORMATS`.
    """

    searches: Searches
    table: pd.DataFrame
    tests: pd.DataFrame
    notes: list[str]
    tables: dict[str, Path] = field(default_factory=dict)
    figures: dict[str, tuple[Path, ...]] = field(default_factory=dict)


def find_lookups(paths: Sequence[Path]) -> list[Path]:
    """Returns the folders that `atrc lookup` made, among the paths and below them."""
    return sorted({file.parent for path in paths for file in path.rglob(CARD)})


def load_lookup(folder: str | Path) -> Searches:
    """Reads the searches of a folder.

    Raises:
        InputError: A file is missing, damaged or of another version.
    """
    path = Path(folder) / CARD
    try:
        card = read_yaml(read_text(path))
    except (OSError, UnicodeError, YAMLError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    if not isinstance(card, Mapping) or card.get("format") != FORMAT:
        raise InputError(f"{path} does not describe searches of a table: its format must be {FORMAT!r}")
    file = Path(folder) / SEARCHES
    numbers = ("trials", "samples", "seconds", "score", "regret", "rank")
    try:
        frame = pd.read_csv(file, dtype=str, keep_default_na=False)
        frame = frame.assign(seed=frame["seed"].astype(int), **{name: frame[name].astype(float) for name in numbers})
        frame["regret"] = frame["regret"].fillna(float(card["largest_regret"]))
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise InputError(f"{file} cannot be read: {error}") from None
    if frame.empty:
        raise InputError(f"{file} has no search")
    return Searches(card, frame)


def lookup_curves(searches: Searches, column: str = "trials") -> pd.DataFrame:
    """Mean regret of every strategy along its searches.

    Args:
        searches: The searches.
        column: What they are followed by: ``trials``, or ``samples`` that trainings took. A search that has ended
            keeps its regret.

    Returns:
        ``strategy``, the column, ``searches`` (number), ``regret`` (mean over them), ``low`` and ``high`` (95 %
        bootstrap interval over searches), ``median``. Points before all searches have named a genotype are left out.
        The strategy of the smallest final regret comes first.
    """
    parts = []
    for label, of in searches.frame.groupby("strategy", sort=False):
        points = _points(of, column, searches.trials)
        by = of.pivot_table(index="seed", columns=column, values="regret", aggfunc="last", dropna=False)
        every = by.reindex(columns=sorted({*by.columns, *points})).ffill(axis=1)[points]
        values = every.loc[:, every.notna().all()]
        low, high = bootstrap_means(values.to_numpy(float))
        parts.append(
            pd.DataFrame(
                {
                    "strategy": label,
                    column: values.columns,
                    "searches": len(values),
                    "regret": values.mean().to_numpy(),
                    "low": low,
                    "high": high,
                    "median": values.median().to_numpy(),
                }
            )
        )
    parts.sort(key=lambda part: part["regret"].iloc[-1] if len(part) else math.inf)
    return pd.concat(parts, ignore_index=True)


def _points(of: pd.DataFrame, column: str, trials: int) -> list[float]:
    """Points of a strategy's curve: every trial, or equal steps up to its longest search."""
    if column == "trials":
        return [float(trial) for trial in range(1, trials + 1)]
    return [float(point) for point in np.linspace(0, of[column].max(), POINTS + 1)[1:]]


def lookup_table(searches: Searches, curves: pd.DataFrame) -> pd.DataFrame:
    """One row per strategy, the smallest mean regret first.

    Args:
        searches: The searches.
        curves: Their curves against trials; see `lookup_curves`.

    Returns:
        ``strategy``, ``searches``, ``regret`` (mean at the end), ``low`` and ``high`` (95 % bootstrap interval),
        ``median``, ``regret_T`` after T trials (a quarter, a half and three quarters), ``rank`` (mean place of the
        named genotype among all), ``found`` (share of searches that named the best genotype, or one not worse),
        ``samples`` and ``seconds`` (means of what the trainings of a search took).
    """
    ends, rows = searches.ends, []
    points = _parts(searches.trials)
    for label, curve in curves.groupby("strategy", sort=False):
        of = ends[ends["strategy"] == label]
        at = dict(zip(curve["trials"], curve["regret"], strict=True))
        last = curve.iloc[-1]
        rows.append(
            {
                "strategy": label,
                "searches": len(of),
                **{name: last[name] for name in ("regret", "low", "high", "median")},
                **{f"regret_{point}": at.get(point, math.nan) for point in points},
                "rank": of["rank"].mean(),
                "found": float((of["rank"] == 1).mean()),
                "samples": of["samples"].mean(),
                "seconds": of["seconds"].mean(),
            }
        )
    return pd.DataFrame(rows)


def _parts(trials: int) -> list[int]:
    return sorted({max(1, trials * part // PARTS) for part in range(1, PARTS)} - {trials})


def lookup_tests(searches: Searches) -> pd.DataFrame:
    """Two-sided tests of the final regret of every pair of strategies, with Holm's correction.

    Where a genotype's score is drawn from its seeds, searches with the same seed draw the same training for every
    genotype. So their luck is shared, and pairs are compared by Wilcoxon's signed-rank test over the seeds that both
    have. Where scores are means, two searches have nothing in common, and Mann and Whitney's test compares them all.

    Returns:
        ``one``, ``other``, ``difference`` (mean regret of one minus other, over the compared searches), ``p`` (1 if
        all values are the same; missing with fewer than two searches), ``p_holm``, ``n_one`` and ``n_other``.
    """
    ends = searches.ends
    regret = {str(label): of.set_index("seed")["regret"] for label, of in ends.groupby("strategy", sort=False)}
    rows = []
    for one, other in combinations(regret, 2):
        a, b = regret[one], regret[other]
        if searches.paired:
            common = a.index.intersection(b.index)
            a, b = a.loc[common], b.loc[common]
        p = math.nan
        if min(len(a), len(b)) > 1:
            p = _signed_rank(a, b) if searches.paired else _rank_sum(a, b)
        row = {"one": one, "other": other, "difference": float(a.mean() - b.mean()), "p": p}
        rows.append(row | {"n_one": len(a), "n_other": len(b)})
    frame = pd.DataFrame(rows, columns=["one", "other", "difference", "p", "n_one", "n_other"])
    frame.insert(4, "p_holm", holm(frame["p"].to_list()))
    return frame


def _signed_rank(a: pd.Series, b: pd.Series) -> float:
    difference = (a - b).to_numpy(float)
    return float(stats.wilcoxon(difference).pvalue) if difference.any() else 1.0


def _rank_sum(a: pd.Series, b: pd.Series) -> float:
    if len({*a, *b}) == 1:
        return 1.0
    return float(stats.mannwhitneyu(a, b, alternative="two-sided").pvalue)


def analyze_lookup(
    folder: str | Path, out: str | Path, *, formats: Collection[str] = FORMATS, press: Press | None = None
) -> LookupAnalysis:
    """Makes every table and figure of many searches.

    Args:
        folder: A folder that `atrc lookup` made.
        out: Folder for CSV files and figures.
        formats: Formats of figures; see `analysis.figures.save_figure`.
        press: Processes that write figures; see `analysis.analyze`.

    Raises:
        InputError: The folder cannot be read, or a format is unknown.
    """
    chosen, searches, out = check_formats(formats), load_lookup(folder), Path(out)
    curves = {column: lookup_curves(searches, column) for column in ("trials", "samples")}
    table, tests = lookup_table(searches, curves["trials"]), lookup_tests(searches)
    made = LookupAnalysis(searches, table, tests, _notes(searches, tests))
    frames = {"lookup": table, "lookup_tests": tests, "lookup_trials": curves["trials"]}
    for name, frame in (frames | {"lookup_samples": curves["samples"]}).items():
        if len(frame):
            made.tables[name] = write_table(frame, out, name)
    shown = list(table["strategy"][:MANY])
    if len(table) > MANY:
        made.notes.append(
            f"Figures of regret show the {MANY} strategies of the smallest regret; the tables have all."
        )
    draw = {
        f"lookup_{column}": partial(
            draw_lookup, curve[curve["strategy"].isin(shown)], column, searches.unit, searches.reference
        )
        for column, curve in curves.items()
    }
    figures = {name: drawing() for name, drawing in draw.items()}
    pivot = searches.ends.pivot(index="seed", columns="strategy", values="regret").dropna()
    if pivot.shape[1] > 2 and len(pivot) > 1 and (pivot.nunique(axis=1) > 1).any():
        figures["lookup_ranks"] = draw_ranks(-pivot, dict.fromkeys(pivot.columns, "multi-trial"))
    save = save_figure if press is None else press.save
    made.figures.update({name: save(figure, out, name, chosen) for name, figure in figures.items()})
    return made


def _notes(searches: Searches, tests: pd.DataFrame) -> list[str]:
    notes = []
    tested = tests[tests["p"].notna()]
    if searches.paired and len(tested):
        enough = 1 + math.ceil(math.log2(max(1, len(tested)) / LEVEL))
        notes += hopeless("signed-rank test", [2.0 ** (1 - n) for n in tested["n_one"]], enough)
    if failed := int(searches.ends["score"].isna().sum()):
        largest = f"{searches.card['largest_regret']:.3g}"
        notes.append(
            f"{failed} searches named a genotype of which a training failed; they count as regret {largest}."
        )
    took = searches.ends.groupby("strategy", sort=False)["samples"].mean()
    if less := [str(label) for label, samples in took.items() if samples < (1 - UNEQUAL) * took.max()]:
        notes.append(
            f"The trainings of {', '.join(less)} took fewer images than others, since their trials are short or "
            "repeat genotypes; lookup_samples shows regret against images."
        )
    counts = searches.ends.groupby("strategy").size()
    if counts.nunique() > 1:
        notes.append(f"Strategies have {counts.min()} to {counts.max()} searches; ranks use the seeds that all have.")
    return notes


def lookup_screen(made: LookupAnalysis) -> list[RenderableType]:
    """The table for a terminal, then what differs from random search, and the notes.

    ``n`` is the number of searches, ``halfway`` the regret after half of the trials, ``rank`` the mean place of the
    named genotype, ``best`` the share of searches that named the best one, ``s`` the seconds that trainings took.
    """
    searches, card = made.searches, made.searches.card
    unit = f" {searches.unit}" if searches.unit else ""
    title = (
        f"{card['name']}: {card['column']} of {card['genotypes']} genotypes in table {card['table']['name']}, "
        f"{searches.trials} trials a search"
    )
    table, digits = Table(box=None, pad_edge=False), max(0, decimals(made.table["regret"]) - 1)
    half = f"regret_{max(1, searches.trials // 2)}"
    table.add_column("strategy", overflow="fold")
    for head in ("n", f"regret{unit} (95 %)", "halfway", "rank", "best", "s"):
        table.add_column(Text(head), justify="right", no_wrap=True)
    for row in made.table.to_dict("records"):
        table.add_row(
            Text(str(row["strategy"])),
            str(row["searches"]),
            f"{number(row['regret'], digits)} ({number(row['low'], digits)} .. {number(row['high'], digits)})",
            number(row.get(half, row["regret"]), digits),
            f"{row['rank']:.1f}",
            f"{100 * row['found']:.0f} %",
            f"{row['seconds']:.0f}",
        )
    return [Text(title), table, *map(Text, [*against_random(made), *made.notes])]


def against_random(made: LookupAnalysis) -> list[str]:
    """Sentences that sort strategies by whether they differ from random search."""
    random, tests = made.searches.reference, made.tests
    name = "signed-rank test, paired by seed" if made.searches.paired else "Mann-Whitney test"
    if random is None:
        differ = int((tests["p_holm"] < LEVEL).sum())
        return [f"{differ} of {len(tests)} pairs of strategies differ at p < {LEVEL} ({name}, Holm's correction)."]
    found: dict[str, list[str]] = {"smaller": [], "larger": [], "not different": []}
    for row in tests[(tests["one"] == random) | (tests["other"] == random)].to_dict("records"):
        label = row["other"] if row["one"] == random else row["one"]
        less = row["difference"] * (1 if row["one"] == random else -1) > 0
        side = "not different" if not row["p_holm"] < LEVEL else "smaller" if less else "larger"
        found[side].append(str(label))
    lines = [f"- {side}: {', '.join(labels)}" for side, labels in found.items() if labels]
    return [f"Regret against that of {random} at p < {LEVEL} ({name}, Holm's correction):", *lines] if lines else []
