"""Writes the page of the report: tables and figures of an analysis, and the origin of every number.

The page is one HTML file. It holds figures as vector graphics and their numbers as CSV files, and its policy forbids
it to load anything. The same runs give the same bytes.
"""

from __future__ import annotations

import base64
import math
import mimetypes
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from analysis.differences import Comparison, answers, compare_models
from analysis.load import Runs
from analysis.lookup import LookupAnalysis, against_random
from analysis.multitask import marked, marks_explained, summarize, with_delta_m
from analysis.output import Analysis, Caption, Drawing
from analysis.power import POWER_OF, power_of_runs, power_sentences
from analysis.report.captions import CAPTIONS, CHAPTERS, FOUND, LOOKED_UP
from analysis.report.origins import origins
from analysis.spaces import space_found
from analysis.tables import decimals, number, plus_minus
from analysis.views import SpaceView, shared_view, view_of
from atrc.machine.files import write_text
from searchspace import InputError

__all__ = ["write_report"]

NAME = "report.html"
PIXELS_PER_POINT = 96 / 72
WIDE = 480
"""Figures of more CSS pixels take the whole width of the page."""


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: Text of the cell.
        value: Value by which a column is sorted; None sorts last.
        links: Texts with the places on this page that they lead to.
    """

    text: str
    value: float | str | None = None
    links: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> str:
        """The value as an attribute."""
        missing = self.value is None or (isinstance(self.value, float) and math.isnan(self.value))
        return "" if missing else str(self.value)


def write_report(analysis: Analysis) -> Path:
    """Writes ``report.html`` beside the tables and figures that are on it; returns its path.

    Args:
        analysis: An analysis that `analysis.analyze` made.

    Raises:
        InputError: A run's ``environment.json`` is missing or broken, or the figures were not written as SVG.
    """
    if "svg" not in analysis.formats:
        raise InputError(f"the report shows figures as svg, but they were written as {', '.join(analysis.formats)}")
    if analysis.press is not None:
        analysis.press.finish()
    path = analysis.out / NAME
    write_text(path, _render(analysis))
    return path


def _render(analysis: Analysis) -> str:
    loader = jinja2.PackageLoader("analysis.report", ".")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    runs = analysis.runs
    made = origins(runs)
    captions = _captions(shared_view(space_found(runs, name) for name in runs.experiments))
    comparisons, models = compare_models(runs, paired=analysis.paired), summarize(runs, paired=analysis.paired)
    return environment.get_template("page.html").render(
        runs=runs,
        notes=analysis.notes,
        experiments=[_experiment(analysis, name, comparisons, models) for name in runs.experiments],
        lookups=[_lookup(one) for one in analysis.lookups],
        named=[*runs.experiments, *(str(one.searches.card["name"]) for one in analysis.lookups)],
        shared=[_figure(drawing, captions) for drawing in analysis.figures.values() if _is_shared(analysis, drawing)],
        every_run=_every_run(analysis, made.of),
        origins=made,
        found_chapter=FOUND,
        version=metadata.version("atrc"),
        wide=WIDE,
    )


def _experiment(
    analysis: Analysis, name: str, comparisons: Sequence[Comparison], models: pd.DataFrame
) -> dict[str, Any]:
    runs = analysis.runs
    of_kind = {
        drawing.kind: drawing
        for drawing in analysis.figures.values()
        if drawing.experiment in (name, None) and not _is_shared(analysis, drawing)
    }
    space = space_found(runs, name)
    view = view_of(space)
    chapters = dict(CHAPTERS)
    placed = {kind for kinds in chapters.values() for kind in kinds}
    chapters[FOUND] += tuple(kind for kind in view.captions if kind not in placed)
    captions = _captions(view)
    return {
        "name": name,
        "anchor": _anchor(name),
        "answers": answers(comparisons, name),
        "power": power_sentences(power_of_runs(runs, name, paired=analysis.paired), POWER_OF),
        "summary": _summary(runs, models[models["experiment"] == name]),
        "matrices": None if space is None else view.on_page(runs, name),
        "chapters": {
            title: [_figure(of_kind[kind], captions) for kind in kinds if kind in of_kind]
            for title, kinds in chapters.items()
        },
    }


def _lookup(made: LookupAnalysis) -> dict[str, Any]:
    """The section of many searches of a table."""
    card = made.searches.card
    heads = ["strategy", "searches", "regret", "95 % interval", "median", "mean rank", "named the best", "seconds"]
    lines = []
    for row in made.table.to_dict("records"):
        regret, median, place = (Cell(number(row[name], 2), row[name]) for name in ("regret", "median", "rank"))
        interval = " to ".join(number(row[end], 2) for end in ("low", "high"))
        lines.append(
            [
                Cell(str(row["strategy"]), str(row["strategy"])),
                Cell(str(row["searches"]), int(row["searches"])),
                *(regret, Cell(interval, row["low"]), median, place),
                Cell(f"{100 * row['found']:.0f} %", row["found"]),
                Cell(number(row["seconds"], 0), row["seconds"]),
            ]
        )
    drawings = [
        Drawing(kind, None, made.tables.get(kind, made.tables["lookup"]), svg=svg)
        for kind, files in made.figures.items()
        for svg in files
        if svg.suffix == ".svg"
    ]
    return {
        "name": card["name"],
        "anchor": _anchor(f"lookup-{card['name']}"),
        "said": [f"Budget of a search: {made.searches.trials} trials.", *against_random(made), *made.notes],
        "summary": {"heads": heads, "rows": lines},
        "figures": [_figure(drawing, LOOKED_UP) for drawing in drawings],
    }


def _is_shared(analysis: Analysis, drawing: Drawing) -> bool:
    """Whether a figure shows several experiments."""
    return drawing.experiment is None and len(analysis.runs.experiments) > 1


def _summary(runs: Runs, rows: pd.DataFrame) -> dict[str, Any]:
    """Table 1 of the paper for one experiment, from its rows of `analysis.multitask.summarize`."""
    digits = {name: decimals(rows[f"{name}_mean"]) for name in runs.tasks}
    heads = ["model", "runs", *(f"{task.title}, {task.label}" for task in runs.tasks.values()), "Δm [%] ↑"]
    lines = []
    for row in rows.to_dict("records"):
        metrics = [
            Cell(plus_minus(row[f"{name}_mean"], row[f"{name}_std"], digits[name]), row[f"{name}_mean"])
            for name in runs.tasks
        ]
        lines.append(
            [
                Cell(marked(row), str(row["model"])),
                Cell(str(int(row["n"])), int(row["n"])),
                *metrics,
                Cell(plus_minus(row["delta_m_mean"], row["delta_m_std"], 2, sign=True), row["delta_m_mean"]),
                Cell(number(row["parameters"] / 1e6, 3), row["parameters"]),
                Cell(number(row["multiply_adds"] / 1e9, 3), row["multiply_adds"]),
                Cell(plus_minus(row["seconds_mean"], row["seconds_std"], 0), row["seconds_mean"]),
            ]
        )
    heads += ["parameters [M]", "multiply-adds [G]", "training [s]"]
    return {"heads": heads, "rows": lines, "marks": marks_explained(rows)}


def _every_run(analysis: Analysis, of: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    runs = analysis.runs
    frame = with_delta_m(runs, paired=analysis.paired)
    digits = {name: decimals(frame[name]) for name in runs.tasks}
    heads = ["experiment", "model", "seed", *(f"{task.title}, {task.label}" for task in runs.tasks.values())]
    lines = []
    for row in frame.to_dict("records"):
        made, config = of[str(row["path"])]
        lines.append(
            [
                *(Cell(str(row[name]), str(row[name])) for name in ("experiment", "model")),
                Cell(str(row["seed"]), int(row["seed"])),
                *(Cell(number(row[name], digits[name]), row[name]) for name in runs.tasks),
                Cell(number(row["delta_m"], 2, sign=True), row["delta_m"]),
                Cell(f"{row['samples']:,}".replace(",", "\N{NO-BREAK SPACE}"), int(row["samples"])),
                Cell(number(row["seconds"], 0), row["seconds"]),
                Cell(
                    "",
                    1000 * made + config,
                    ((f"command {made + 1}", f"#made-{made + 1}"), (f"config {config + 1}", f"#config-{config + 1}")),
                ),
                Cell(str(row["path"]), str(row["path"])),
            ]
        )
    return {"heads": [*heads, "Δm [%] ↑", "samples", "training [s]", "made by", "path"], "rows": lines}


def _captions(view: SpaceView) -> dict[str, Caption]:
    """Kind of figure -> its caption for a space; a view need not repeat those that hold for any."""
    return {**CAPTIONS, **SpaceView.captions, **view.captions}


def _figure(drawing: Drawing, captions: Mapping[str, Caption]) -> dict[str, Any]:
    caption = captions[drawing.kind]
    assert drawing.svg is not None  # see `write_report`
    width, height = _size(drawing.svg)
    return {
        "title": caption.title,
        "text": caption.text,
        "picture": _inside(drawing.svg),
        "width": width,
        "height": height,
        "numbers": _inside(drawing.table),
        "name": drawing.table.name,
    }


def _inside(path: Path) -> str:
    """The file as a data URI."""
    kind = mimetypes.types_map[path.suffix]
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"


def _size(svg: Path) -> tuple[int, int]:
    """Width and height in CSS pixels, of a file whose view box is in points."""
    with svg.open(encoding="utf-8") as file:
        box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', file.read(2000))
    assert box is not None
    return round(float(box[1]) * PIXELS_PER_POINT), round(float(box[2]) * PIXELS_PER_POINT)


def _anchor(name: str) -> str:
    return "experiment-" + re.sub(r"[^\w-]+", "-", name).strip("-").lower()
