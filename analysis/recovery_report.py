"""Output of ``atrc recovery``: the planted matrix and three searches, beside an earlier result of the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from analysis.planted_matrix import ahead, planted_errors, planted_matrix
from analysis.recovery import Found
from analysis.tables import DASH, write_table
from atrc.runs import RunDirectory
from searchspace import InputError

__all__ = ["found_blocks", "recovery_report"]

APART = 5.0
"""Standard errors beyond which a difference of two means is not put down to chance."""

KEYS = {"errors": ["planted", "pair", "used", "seed"], "found": ["search", "seed"]}
"""Table -> the columns that name its rows."""


def recovery_report(
    networks: Sequence[RunDirectory], searches: Sequence[RunDirectory], out: Path, kept: Path | None = None
) -> list[RenderableType]:
    """Writes ``errors.csv`` and ``found.csv``, ``matrix.csv`` and ``ahead.csv``, and says what is in them.

    Args:
        networks: Finished runs of `atrc.experiments.recovery.matrix_runs`.
        searches: Finished runs of `atrc.experiments.recovery.searched_runs`.
        out: Folder of the tables.
        kept: Folder with earlier tables; those of their rows are shown that are here, too.

    Returns:
        Renderables for ``rich.console.Console.print``, in order.

    Raises:
        InputError: The folder of an earlier time lacks a table.
    """
    write_table(planted_errors(networks), out, "errors")
    write_table(found_blocks(searches), out, "found")
    now = {name: _read(out, name) for name in KEYS}  # rounded as those that were kept are
    before = None if kept is None else {name: _kept(kept, name, table) for name, table in now.items()}
    if before is not None and before["errors"].empty:
        return [*_tables(now, None, out), Text(f"{kept} has no results of these seeds.")]
    seconds = Text(f"Seconds of a training: {_median(networks):.1f}; of a search: {_median(searches):.1f} (medians)")
    changes = _changes(now, before) if before is not None else []
    return [*_tables(now, before, out), seconds, *map(Text, changes)]


def _tables(
    now: Mapping[str, pd.DataFrame], before: Mapping[str, pd.DataFrame] | None, out: Path
) -> list[RenderableType]:
    """Three tables, and what a reader of them must not overlook; writes ``matrix.csv`` and ``ahead.csv``."""
    matrix = planted_matrix(now["errors"])
    earlier = None if before is None else planted_matrix(before["errors"])
    leads, sums = ahead(matrix), _summed(now["found"])
    write_table(matrix, out, "matrix")
    write_table(leads, out, "ahead")
    lost = [
        f"{row['pair']} {row['planted']}: the planted context was the best in only {row['best']} of {row['n']} seeds"
        for row in leads.to_dict("records")
        if row["best"] < 0.9 * row["n"]
    ]
    return [
        _errors(matrix, earlier),
        _shown("Planted against second best", _AHEAD, leads, None if earlier is None else ahead(earlier)),
        _shown("Searches", _FOUND, sums, None if before is None else _summed(before["found"])),
        *map(Text, lost),
    ]


def found_blocks(searches: Iterable[RunDirectory]) -> pd.DataFrame:
    """Returns a table with a row for each search.

    Columns: ``search`` (its config's name), ``seed``, ``found`` and ``of`` (planted blocks),
    ``genotype`` (its choices, in the space's order).
    """
    rows = []
    for run in searches:
        one = Found.by(run)
        assert one is not None
        named = " ".join(one.genotype.values())
        rows.append((run.config.name, run.spec.seed, one.hits, len(one.planted), named))
    return pd.DataFrame(rows, columns=["search", "seed", "found", "of", "genotype"])


def _kept(folder: Path, name: str, now: pd.DataFrame) -> pd.DataFrame:
    """The rows of an earlier table that are in this one, too."""
    if not (folder / f"{name}.csv").exists():
        raise InputError(f"{folder / name}.csv: no such file; --kept names the folder of an earlier atrc recovery")
    return now[KEYS[name]].merge(_read(folder, name), on=KEYS[name])


def _read(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / f"{name}.csv", keep_default_na=False)  # "none" is a context


def _summed(found: pd.DataFrame) -> pd.DataFrame:
    return found.groupby("search", sort=False).agg(runs=("seed", "size"), found=("found", "sum"), of=("of", "sum"))


def _errors(matrix: pd.DataFrame, before: pd.DataFrame | None) -> Table:
    """RMSE: a row for every planted pair, a column for every context used."""
    table = Table(title=_title("RMSE, mean ± std over seeds", before), box=None)
    used = list(dict.fromkeys(matrix["used"]))
    for head in ("planted", *used):
        table.add_column(head, justify="left" if head == "planted" else "right", no_wrap=True)
    for planted, pair in matrix[["planted", "pair"]].drop_duplicates().itertuples(index=False):
        cells = [_cells(frame, planted, pair, used) for frame in (matrix, before) if frame is not None]
        table.add_row(f"{pair} {planted}", *("\n".join(cell) for cell in zip(*cells, strict=True)))
    return table


def _title(what: str, before: pd.DataFrame | None) -> str:
    return what if before is None else f"{what}; below: earlier results"


def _cells(matrix: pd.DataFrame, planted: str, pair: str, used: Sequence[str]) -> list[str]:
    row = matrix[(matrix["planted"] == planted) & (matrix["pair"] == pair)].set_index("used")
    return [
        f"{row['mean'][name]:.3f} ±{row['std'][name]:.3f}".replace("±0.", "±.") if name in row.index else DASH
        for name in used
    ]


_Column = tuple[str, Callable[[Mapping[Any, Any]], str]]
_AHEAD: list[_Column] = [
    ("planted", lambda row: f"{row['pair']} {row['planted']}"),
    ("best in", lambda row: f"{row['best']} of {row['n']}"),
    ("second", lambda row: str(row["second"])),
    ("ahead, std", lambda row: f"{row['ahead']:.1f}"),
    ("dead", lambda row: f"{row['dead']}"),
]
_FOUND: list[_Column] = [
    ("of", lambda row: str(row["search"])),
    ("searches", lambda row: f"{row['runs']}"),
    ("planted blocks found", lambda row: f"{row['found']} of {row['of']}"),
]


def _shown(title: str, columns: Sequence[_Column], now: pd.DataFrame, before: pd.DataFrame | None) -> Table:
    """A row for every row of two tables that go together; what was kept is below what is now."""
    table = Table(title=_title(title, before), box=None)
    for head, _ in columns:
        table.add_column(head, justify="left" if head == columns[0][0] else "right", no_wrap=True)
    pairs = [frame.reset_index().to_dict("records") for frame in (now, before) if frame is not None]
    for first, *others in zip(*pairs, strict=True):
        cells = ["\n".join(cell(row) for row in (first, *others)) for _, cell in columns[1:]]
        table.add_row(columns[0][1](first), *cells)
    return table


def _changes(now: Mapping[str, pd.DataFrame], before: Mapping[str, pd.DataFrame]) -> list[str]:
    """Sentences on differences from the kept tables."""
    errors, found = (now[name].merge(before[name], on=KEYS[name], suffixes=("", "_kept")) for name in KEYS)
    same = int((errors["error"] == errors["error_kept"]).sum())
    named = int((found["genotype"] == found["genotype_kept"]).sum())
    said = [
        f"{same} of {len(errors)} errors equal the earlier ones to ten digits; {named} of {len(found)} searches "
        "named the same genotype as before."
    ]
    if same == len(errors):
        return said
    both = planted_matrix(now["errors"]).merge(
        planted_matrix(before["errors"]), on=["planted", "pair", "used"], suffixes=("", "_kept")
    )
    larger = []
    for row in both.to_dict("records"):
        chance = math.sqrt(row["std"] ** 2 / row["n"] + row["std_kept"] ** 2 / row["n_kept"])
        if abs(row["mean"] - row["mean_kept"]) > APART * max(chance, 1e-3):
            what = f"{row['pair']} {row['planted']}, {row['used']} used"
            larger.append(f"{what}: the error was {row['mean_kept']:.3f}, and is {row['mean']:.3f}")
    return [*said, *(larger or ["No mean differs by more than chance explains."])]


def _median(runs: Sequence[RunDirectory]) -> float:
    return float(pd.Series([run.result().seconds for run in runs]).median())
