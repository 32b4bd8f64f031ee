"""A filled table as text: Markdown for reading, LaTeX for printing, CSV with everything."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.paper.tables import PaperTable
from analysis.tables import DASH, decimals, number, plus_minus
from atrc.networks import RANDOM_WEIGHTS

__all__ = ["FORMATS", "format_of", "missing_notes", "to_csv", "to_latex", "to_markdown"]

TICK = "✓"
LATEX: Mapping[str, str] = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "Δ": r"$\Delta$",
    "±": r"$\pm$",
    TICK: r"$\checkmark$",
    DASH: "--",
}


@dataclass(frozen=True)
class _Column:
    """A quantity: our cells, and the paper's where it has any."""

    head: str
    ours: Sequence[str]
    paper: Sequence[str] | None = None


def to_csv(table: PaperTable) -> str:
    """Every column of `PaperTable.frame`, numbers with up to ten digits."""
    return table.frame.to_csv(index=False, float_format="%.10g", lineterminator="\n")


def to_markdown(table: PaperTable) -> str:
    """Title, table, what its columns are, and the commands for what is missing.

    Columns are aligned as plain text, too. The paper's numbers are shown for the place's tasks alone, without
    their standard deviations: `to_latex` has these, and `to_csv` has everything.
    """
    names, quantities = _names(table), list(_quantities(table, spread=False))
    heads, columns = [*(c.head for c in names)], [*(c.ours for c in names)]
    for column in quantities:
        heads += [column.head] if column.paper is None else [column.head, "paper"]
        columns += [column.ours] if column.paper is None else [column.ours, column.paper]
    widths = [max(map(len, [head, *cells])) for head, cells in zip(heads, columns, strict=True)]
    left = 1 + len(table.published.marks)

    def line(cells: Sequence[str]) -> str:
        padded = (
            f"{cell:<{width}}" if place < left else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join(padded)} |"

    rule = ["-" * width if place < left else "-" * (width - 1) + ":" for place, width in enumerate(widths)]
    rows = [line(cells) for cells in zip(*columns, strict=True)]
    parts = [_title(table), "\n".join([line(heads), line(rule), *rows]), _caption(table)]
    notes = missing_notes(table)
    if notes:
        parts += [f"{notes[0]}:", "\n".join(["```sh", *notes[1:], "```"])]
    return "\n\n".join(parts) + "\n"


def to_latex(table: PaperTable) -> str:
    """A ``table*`` for packages booktabs and amssymb; the commands for what is missing are comments above it."""
    names, quantities = _names(table), list(_quantities(table, spread=True))
    spans = [1 if column.paper is None else 2 for column in quantities]
    first = [_escape(column.head) for column in names]
    second = [""] * len(names)
    rules, at = [], len(names) + 1
    for column, span in zip(quantities, spans, strict=True):
        head = _escape(column.head)
        first.append(head if span == 1 else rf"\multicolumn{{2}}{{c}}{{{head}}}")
        second += ["here"] if span == 1 else ["here", "paper"]
        rules += [] if span == 1 else [rf"\cmidrule(lr){{{at}-{at + 1}}}"]
        at += span
    cells = [[_escape(cell) for cell in column.ours] for column in names]
    for column in quantities:
        cells += [[_math(cell) for cell in of] for of in (column.ours, column.paper) if of is not None]
    left = 1 + len(table.published.marks)
    lines = [
        *(f"% {note}" for note in missing_notes(table)),
        r"\begin{table*}",
        r"\centering",
        rf"\begin{{tabular}}{{l{'c' * (left - 1)}{'r' * (len(cells) - left)}}}",
        r"\toprule",
        _row(first),
        "".join(rules),
        _row(second),
        r"\midrule",
        *(_row(row) for row in zip(*cells, strict=True)),
        r"\bottomrule",
        r"\end{tabular}",
        rf"\caption{{{_escape(f'{_title(table)}. {_caption(table)}')}}}",
        rf"\label{{tab:{table.published.number}-{table.place}}}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


FORMATS: Mapping[str, Callable[[PaperTable], str]] = {"markdown": to_markdown, "csv": to_csv, "latex": to_latex}
"""Name -> function that writes the format."""
_SUFFIXES = {".md": "markdown", ".csv": "csv", ".tex": "latex"}


def format_of(suffix: str) -> str:
    """The format that a file's suffix names; Markdown for any other."""
    return _SUFFIXES.get(suffix, "markdown")


def missing_notes(table: PaperTable) -> list[str]:
    """Number of missing runs; then commands for a shell: one that makes all of them, and those for each step."""
    if not table.gaps:
        return []
    missing = sum(gap.size for gap in table.gaps)
    count = "1 run is missing" if missing == 1 else f"{missing} runs are missing"
    return [count, f"{table.fill}  # all of it, or step by step:", *table.commands]


def _names(table: PaperTable) -> list[_Column]:
    """The columns of labels, marks and numbers of runs."""
    frame = table.frame
    runs = [_count(have, missing) for have, missing in zip(frame["runs"], frame["missing"], strict=True)]
    marks = [_Column(mark, [TICK if ticked else "" for ticked in frame[mark]]) for mark in table.published.marks]
    labels = [label + "*" * scratch for label, scratch in zip(frame["label"], frame["scratch"], strict=True)]
    return [_Column("model", labels), *marks, _Column("runs", runs)]


def _count(have: int, missing: int) -> str:
    return f"{have}/{have + missing}" if missing else str(have)


def _quantities(table: PaperTable, *, spread: bool) -> Iterator[_Column]:
    """Resources where the paper's table has them, the place's tasks, Delta_m; with the paper's spread if wanted."""
    frame = table.frame
    if table.published.resources:
        for head, name in (("params [M]", "params_M"), ("MAdds [G]", "madds_G")):
            yield _Column(head, _cells(frame[name]), _cells(frame[f"paper_{name}"]))
    for name, task in table.tasks.items():
        paper = None
        if name in table.published.tasks:
            stds = frame.get(f"paper_{name}_std") if spread else None
            paper = _cells(frame[f"paper_{name}_mean"], stds)
        unit = f" [{task.unit}]" if task.unit else ""
        head = f"{task.title}{unit} {'↑' if task.higher_is_better else '↓'}"
        yield _Column(head, _cells(frame[f"{name}_mean"], frame[f"{name}_std"]), paper)
    ours = _cells(frame["delta_m_mean"], frame["delta_m_std"], digits=2)
    yield _Column("Δm [%] ↑", ours, _cells(frame["paper_delta_m"], digits=2))


def _cells(means: pd.Series, stds: pd.Series | None = None, digits: int | None = None) -> list[str]:
    """A column's numbers, all with the same decimals; with a spread where there is one."""
    places = decimals(means) if digits is None else digits
    spreads = [math.nan] * len(means) if stds is None else list(stds)
    return [
        number(mean, places) if math.isnan(std) else plus_minus(mean, std, places)
        for mean, std in zip(means, spreads, strict=True)
    ]


def _title(table: PaperTable) -> str:
    return f"Table {table.published.number} on {table.place} ({table.source}); in the paper: {table.published.title}"


def _caption(table: PaperTable) -> str:
    metrics = ", ".join(f"{task.title} {task.metric}" for task in table.tasks.values())
    scratch = f" *: the backbone {RANDOM_WEIGHTS}."
    other = f", of the paper over {', '.join(table.published.tasks)}"
    return (
        "Here: mean ± sample standard deviation over runs; beside it the paper's mean of five runs. "
        f"Metrics: {metrics}. Δm: against the single-task runs of {table.source}"
        f"{'' if set(table.tasks) == set(table.published.tasks) else other}."
        f"{scratch if table.frame['scratch'].any() else ''}"
    )


def _escape(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in text)


def _math(cell: str) -> str:
    """A number with or without its spread, in which a minus is one."""
    if cell == DASH:
        return _escape(cell)
    inner = cell.replace("±", r"\pm ")
    return f"${inner}$"


def _row(cells: Sequence[str]) -> str:
    """A line of a tabular; brackets at its start would be read as the space that the line before asks for."""
    guard = "{}" if cells[0].startswith("[") else ""
    return guard + " & ".join(cells) + r" \\"
