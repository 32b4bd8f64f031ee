"""What ``atrc recovery`` shows: the planted matrix and three searches, beside what they were at an earlier time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from analysis.load import load_runs
from analysis.numbers import DASH
from analysis.planted_matrix import ahead, planted_matrix
from analysis.recovery import found_by_searches, recovery
from analysis.tables import write_table
from atrc.runs import RunDirectory
from searchspace import InputError

__all__ = ["TABLES", "recovery_report"]

TABLES = {"matrix": ["planted", "pair", "used"], "ahead": ["planted", "pair"], "searches": ["condition"]}
"""Table -> the columns that name its rows."""

APART = 5.0
"""So many standard errors of the difference of two means are too many for chance."""


def recovery_report(
    networks: Sequence[RunDirectory], searches: Sequence[RunDirectory], out: Path, kept: Path | None = None
) -> list[RenderableType]:
    """Writes ``matrix.csv``, ``ahead.csv`` and ``searches.csv``, and says what is in them.

    Args:
        networks: See `atrc.recovery.matrix_runs`; finished.
        searches: See `atrc.recovery.searched_runs`; finished.
        out: The folder of the tables.
        kept: A folder with the tables of an earlier time.

    Returns:
        What ``rich.console.Console.print`` takes, one after the other.
    """
    matrix = planted_matrix(networks)
    made = {"matrix": matrix, "ahead": ahead(matrix), "searches": _searches(searches)}
    before = {name: _kept(kept, name) for name in made}
    for name, table in made.items():
        write_table(table, out, name)
    shown: list[RenderableType] = [
        _errors(made["matrix"], before["matrix"]),
        _shown("The planted context against the second best", made["ahead"], before["ahead"], "ahead", _AHEAD),
        _shown("Searches", made["searches"], before["searches"], "searches", _FOUND),
        Text(f"Seconds of a training: {_median(networks):.1f}; of a search: {_median(searches):.1f} (medians)"),
    ]
    return [*shown, *map(Text, _complaints(made, before))]


def _searches(searches: Iterable[RunDirectory]) -> pd.DataFrame:
    by_folder: dict[Path, list[RunDirectory]] = {}
    for run in searches:
        by_folder.setdefault(run.path.parent, []).append(run)
    parts = [recovery(found_by_searches(load_runs([run.path for run in of]))) for of in by_folder.values()]
    return pd.concat(parts, ignore_index=True)


def _kept(folder: Path | None, name: str) -> pd.DataFrame | None:
    if folder is None:
        return None
    path = folder / f"{name}.csv"
    if not path.exists():
        raise InputError(f"{path}: no such file; --kept names the folder of an earlier atrc recovery")
    return pd.read_csv(path, keep_default_na=False, na_values=[""])


def _errors(matrix: pd.DataFrame, before: pd.DataFrame | None) -> Table:
    """RMSE: a row for every planted pair, a column for every context used."""
    table = Table(title="RMSE, mean ± std over seeds" + ("" if before is None else "; below: kept"), box=None)
    used = list(dict.fromkeys(matrix["used"]))
    for head in ("planted", *used):
        table.add_column(head, justify="left" if head == "planted" else "right", no_wrap=True)
    for planted, pair in matrix[["planted", "pair"]].drop_duplicates().itertuples(index=False):
        cells = [_cells(frame, planted, pair, used) for frame in (matrix, before) if frame is not None]
        table.add_row(f"{pair} {planted}", *("\n".join(cell) for cell in zip(*cells, strict=True)))
    return table


def _cells(matrix: pd.DataFrame, planted: str, pair: str, used: Sequence[str]) -> list[str]:
    row = matrix[(matrix["planted"] == planted) & (matrix["pair"] == pair)].set_index("used")
    return [
        f"{row['mean'][name]:.3f} ±{row['std'][name]:.3f}".replace("±0.", "±.") if name in row.index else DASH
        for name in used
    ]


_Column = tuple[str, Callable[[Mapping[Any, Any]], str]]
_AHEAD: list[_Column] = [
    ("best in", lambda row: f"{row['best']} of {row['n']}"),
    ("second", lambda row: str(row["second"])),
    ("ahead, std", lambda row: f"{row['ahead']:.1f}"),
    ("dead", lambda row: f"{row['dead']}"),
]
_FOUND: list[_Column] = [
    ("found", lambda row: f"{row['found']} of {row['of']}"),
    ("95 % interval", lambda row: f"{100 * row['low']:.0f} .. {100 * row['high']:.0f} %"),
    ("chance", lambda row: f"{100 * row['chance']:.0f} %"),
    ("left empty", lambda row: f"{row['left_empty']} of {row['idle']}"),
]


def _shown(
    title: str, table: pd.DataFrame, before: pd.DataFrame | None, name: str, columns: Sequence[_Column]
) -> Table:
    shown = Table(title=title + ("" if before is None else "; right: kept"), box=None)
    heads = [head for head, _ in columns]
    for head in ("", *heads, *(heads if before is not None else ())):
        shown.add_column(head, justify="left" if not head else "right")
    keys = TABLES[name]
    earlier = {} if before is None else {tuple(row[key] for key in keys): row for row in before.to_dict("records")}
    for row in table.to_dict("records"):
        key = tuple(row[key] for key in keys)
        old = [cell(earlier[key]) if key in earlier else DASH for _, cell in columns] if before is not None else []
        shown.add_row(" ".join(reversed(key)), *(cell(row) for _, cell in columns), *old)
    return shown


def _complaints(made: dict[str, pd.DataFrame], before: dict[str, pd.DataFrame | None]) -> list[str]:
    """What a reader must not overlook."""
    found = [
        f"{row['pair']} {row['planted']}: the planted context was the best in {row['best']} of {row['n']} seeds only"
        for row in made["ahead"].to_dict("records")
        if row["best"] < 0.9 * row["n"]
    ]
    if (earlier := before["matrix"]) is not None:
        both = made["matrix"].merge(earlier, on=TABLES["matrix"], suffixes=("", "_kept"))
        for row in both.to_dict("records"):
            error = math.sqrt(row["std"] ** 2 / row["n"] + row["std_kept"] ** 2 / row["n_kept"])
            if abs(row["mean"] - row["mean_kept"]) > APART * max(error, 1e-3):
                found.append(
                    f"{row['pair']} {row['planted']}, {row['used']} used: the error was {row['mean_kept']:.3f}, and "
                    f"is {row['mean']:.3f}"
                )
        found = found or ["No error differs from what was kept by more than chance may do."]
    return found


def _median(runs: Sequence[RunDirectory]) -> float:
    return float(pd.Series([run.result().seconds for run in runs]).median())
