"""The tree of every search: which tasks share which stages of the backbone (Bruggemann et al., BMVC 2020)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyBboxPatch, PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from analysis.figures.style import (
    INK,
    MANY,
    PAGE,
    context_titles,
    new_figure,
    paper_style,
    shown,
    task_colours,
    task_labels,
    text_colour,
)
from analysis.trees import SEPARATOR

__all__ = ["draw_trees"]

# All in inches: one pair of axes covers the figure, so that panels are alike and nothing has to be fitted.
TILE = 0.15
"""Height of a task's part of a node."""
NODE = 0.2
"""Width of a node, unless a label needs more."""
IMAGE = 0.14, 0.4
"""Width, and least height, of the box that stands for the image."""
HEAD = 0.2
"""Distance from head to head: more than a tile, so that nodes of one stage keep apart."""
LINES = 0.14, 0.36
"""Least and most room for lines, between two stages."""
LAST = 0.15
"""Least room for lines before the heads."""
TITLE, NUMBERS, APART, MARGIN = 0.36, 0.2, 0.22, 0.08
"""Room for a panel's title, for its stages' numbers, between panels, and around all."""
HEADING, NAME, REMARK = 8.5, 7.5, 6.5
"""Sizes of text, in points."""
ROUND = f"round,pad=0,rounding_size={TILE / 3}"
"""Style of boxes."""


@dataclass(frozen=True)
class _Tree:
    """A run's tree.

    Attributes:
        title: The run; with the one that found the same tree before, if one did.
        remark: Number and cost of its nodes.
        stages: Groups of tasks, stage by stage.
    """

    title: str
    remark: str
    stages: Sequence[Sequence[Sequence[str]]]

    @property
    def order(self) -> list[str]:
        """The tasks, those of a group side by side, so that no lines cross."""
        places: dict[str, list[int]] = {}
        for groups in self.stages:
            for place, group in enumerate(groups):
                for task in group:
                    places.setdefault(task, []).append(place)
        return sorted(places, key=places.__getitem__)


@dataclass(frozen=True)
class _Look:
    """Sizes and colours that all panels have in common.

    Attributes:
        colours: Task -> colour.
        labels: Task -> text on its tiles.
        titles: Task -> text at its head.
        node: Width of a node.
        step: Distance from the middle of a stage to that of the next.
        width: Width of a panel.
        height: Height of a panel.
    """

    colours: dict[str, str]
    labels: dict[str, str]
    titles: dict[str, str]
    node: float
    step: float
    width: float
    height: float


def draw_trees(table: pd.DataFrame, agreement: float | None = None) -> Figure:
    """One panel per run, from the image to the heads; a node has a tile for each of the tasks that share it.

    Of many runs, the first ones and the last one are drawn.

    Args:
        table: Table of `analysis.trees.trees`.
        agreement: Mean agreement of the runs, in 0..1, for the line above the panels; see
            `analysis.trees.TreeAgreement`.
    """
    found, line = (
        _read(table[table["run"].isin(shown(list(dict.fromkeys(table["run"]))))]),
        _summary(table, agreement),
    )
    look, columns = _fit(found)
    rows = -(-len(found) // columns)
    top = MARGIN + (0.3 if line else 0)
    width = 2 * MARGIN + max(columns * (look.width + APART) - APART, _text_width(line, NAME))
    height = top + rows * (look.height + APART) - APART + MARGIN
    with paper_style():
        figure = new_figure(width, height)
        figure.set_layout_engine("none")
        ax = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        ax.set_axis_off()
        ax.text(MARGIN, MARGIN, line, size=NAME, va="top")
        for number, tree in enumerate(found):
            row, column = divmod(number, columns)
            x, y = MARGIN + column * (look.width + APART), top + row * (look.height + APART)
            _panel(ax, tree, look, x, y)
    return figure


def _read(table: pd.DataFrame) -> list[_Tree]:
    found: list[_Tree] = []
    first: dict[int, str] = {}
    for run, rows in table.groupby("run", sort=False):
        stages = [[tasks.split(SEPARATOR) for tasks in of["tasks"]] for _, of in rows.groupby("stage")]
        same = first.setdefault(rows["tree"].iloc[0], str(run))
        remark = f"{len(rows)} of {len(stages) * sum(map(len, stages[0]))} nodes"
        if rows["cost"].notna().all():
            remark += f", {100 * rows['cost'].sum():.0f} % of the multiply-adds"
        found.append(_Tree(str(run) if same == run else f"{run}, as {same}", remark, stages))
    return found


def _summary(table: pd.DataFrame, agreement: float | None) -> str:
    """A line on all runs; empty for one run."""
    runs, distinct = table["run"].nunique(), table["tree"].nunique()
    some = f" ({MANY} are drawn)" if runs > MANY else ""
    if runs < 2:
        return ""
    if distinct == 1:
        return f"{runs} searches{some} found the same tree"
    line = f"{runs} searches{some} found {distinct} different trees"
    if agreement is None or math.isnan(agreement):
        return line
    return f"{line}; of task pairs and stages, {100 * agreement:.0f} % are alike in two searches"


def _text_width(text: str, size: float, weight: str = "normal") -> float:
    """Width of a text in inches, with a margin for rounding to pixels."""
    font = FontProperties(family="DejaVu Sans", size=size, weight=weight)
    return 1.04 * float(TextPath((0, 0), text, prop=font).get_extents().x1) / 72 if text else 0.0


def _fit(found: Sequence[_Tree]) -> tuple[_Look, int]:
    """Sizes that fit the width of a page, and the number of panels side by side."""
    tasks, stages = found[0].order, len(found[0].stages)
    titles, labels = context_titles(tasks), task_labels(tasks)
    node = max(NODE, *(_text_width(label, REMARK) + 0.08 for label in labels.values()))
    ends = IMAGE[0] + LAST + 0.06 + max(_text_width(title, NAME) for title in titles.values())
    words = max(max(_text_width(tree.title, HEADING, "bold"), _text_width(tree.remark, REMARK)) for tree in found)
    least = max(words, ends + stages * (node + LINES[0]))
    columns = min(len(found), max(1, math.floor((PAGE - 2 * MARGIN + APART) / (least + APART))))
    columns = -(-len(found) // -(-len(found) // columns))  # rows are equally full
    room = (PAGE - 2 * MARGIN + APART) / columns - APART - ends
    step = node + min(max(room / stages - node, LINES[0]), LINES[1])
    width, height = max(words, ends + stages * step), max(HEAD * len(tasks), IMAGE[1])
    return _Look(task_colours(tasks), labels, titles, node, step, width, TITLE + height + NUMBERS), columns


def _panel(ax: Axes, tree: _Tree, look: _Look, x: float, y: float) -> None:
    """Draws a tree below and to the right of a corner."""
    ax.text(x, y, tree.title, size=HEADING, weight="bold", va="top")
    ax.text(x, y + 0.165, tree.remark, size=REMARK, va="top")
    order = tree.order
    middle, below = y + (TITLE + look.height - NUMBERS) / 2, y + look.height - NUMBERS + 0.07
    apart = {task: place - (len(order) - 1) / 2 for place, task in enumerate(order)}
    heads = {task: middle + place * HEAD for task, place in apart.items()}
    lines = {task: [(x + IMAGE[0], middle + place * TILE)] for task, place in apart.items()}
    for stage, groups in enumerate(tree.stages, 1):
        centre = x + IMAGE[0] + stage * look.step - look.node / 2
        for group in groups:
            of = sorted(group, key=order.index)
            top = sum(heads[task] for task in of) / len(of) - len(of) * TILE / 2
            _node(ax, of, look, centre, top)
            for place, task in enumerate(of):
                lines[task] += [(centre + side * look.node / 2, top + (place + 0.5) * TILE) for side in (-1, 1)]
        ax.text(centre, below, str(stage), size=REMARK, ha="center", va="top")
    ax.text(x, below, "stage", size=REMARK, va="top")
    _image(ax, x, middle, max(len(order) * TILE, IMAGE[1]))
    end = x + IMAGE[0] + len(tree.stages) * look.step + LAST
    for task, points in lines.items():
        points.append((end, heads[task]))
        _line(ax, points, look.colours[task])
        ax.plot(end, heads[task], "o", ms=4, color=look.colours[task], zorder=3)
        ax.text(end + 0.06, heads[task], look.titles[task], size=NAME, va="center_baseline")


def _image(ax: Axes, x: float, middle: float, height: float) -> None:
    """The box that all lines come from."""
    corner, middle_x = (x, middle - height / 2), x + IMAGE[0] / 2
    ax.add_patch(FancyBboxPatch(corner, IMAGE[0], height, boxstyle=ROUND, fc=INK, ec="none", zorder=3))
    ax.text(middle_x, middle, "image", size=REMARK, color="white", rotation=90, ha="center", va="center", zorder=5)


def _node(ax: Axes, tasks: Sequence[str], look: _Look, centre: float, top: float) -> None:
    """A box of tiles around a centre, from a top down."""
    corner, height = (centre - look.node / 2, top), len(tasks) * TILE
    outline = FancyBboxPatch(corner, look.node, height, boxstyle=ROUND, fc="none", ec=INK, lw=0.9, zorder=4)
    ax.add_patch(outline)
    for place, task in enumerate(tasks):
        colour, y = look.colours[task], top + place * TILE
        label, ink = look.labels[task], text_colour(colour)
        tile = Rectangle((corner[0], y), look.node, TILE, fc=colour, ec="white", lw=0.5, zorder=3)
        ax.add_patch(tile)
        tile.set_clip_path(outline)
        ax.text(centre, y + TILE / 2, label, size=REMARK, color=ink, ha="center", va="center_baseline", zorder=5)


def _line(ax: Axes, points: Sequence[tuple[float, float]], colour: str) -> None:
    """A task's way: from every second point to the next one, level at both ends."""
    for (x, y), (to_x, to_y) in zip(points[::2], points[1::2], strict=True):
        half = (x + to_x) / 2
        way = Path([(x, y), (half, y), (half, to_y), (to_x, to_y)], [Path.MOVETO, *[Path.CURVE4] * 3])
        ax.add_patch(PathPatch(way, fc="none", ec=colour, lw=1.8, capstyle="round", zorder=2))
