"""Draws docs/figures/planted.png: what a picture of `planted` shows, and what each context means in it.

Run it from the root of the repository: ``python docs/figures/planted.py``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.figures import context_titles, paper_style
from atrc.backbones import PanelLayout
from atrc.data import Planted
from atrc.data.planted.content import CONTENTS, WINDOW

ANSWER = {"a": {"a": "local"}, "b": {"a": "t_label"}}
PICTURE, CELL = 39, (3, 6)
"""Which picture, and in it row and column of the cell of `b` that asks: one whose parts have different colours."""
GRID = 10
TARGET, SOURCE = 1, 0
NAMES = ("red", "green", "blue", "yellow")


def main() -> None:
    dataset = Planted("train", ["a", "b"], answer=ANSWER, grid=GRID)
    index, layout, scenes = PICTURE, PanelLayout(2, GRID), dataset.scenes()
    picture = dataset[index].image
    panels = [picture[layout.place(panel)] for panel in (SOURCE, TARGET)]
    row, column = CELL
    asked = int(scenes.pointers[index, TARGET, row, column])
    rows, columns = np.indices((GRID, GRID))
    cells = {
        "global": np.ones((GRID, GRID), bool),
        "local": np.maximum(abs(rows - row), abs(columns - column)) <= WINDOW // 2,
        "t_label": scenes.classes[index, TARGET] == asked,
        "s_label": scenes.classes[index, SOURCE] == asked,
    }
    with paper_style():
        figure = Figure(figsize=(7.1, 5.75), layout="constrained", facecolor="white")
        above, below = figure.subfigures(2, 1, height_ratios=[1.5, 1])
        source, target, one = above.subplots(1, 3, width_ratios=[1, 1, 0.62])
        show(source, panels[0], "(a) panel of task a")
        show(target, panels[1], "(b) panel of task b")
        mark(target, CELL, layout.cell)
        show(one, enlarged(panels[1], CELL, layout.cell), "(c) the marked cell")
        name_parts(one, layout)
        for ax, (context, meant), letter in zip(below.subplots(1, 4), cells.items(), "defg", strict=True):
            density = float(CONTENTS[context](scenes, TARGET, SOURCE)[index, row, column])
            show(ax, dimmed(panels[0], meant, layout.cell), f"({letter}) {context_titles([context])[context]}")
            ax.set_xlabel(f"{round(density * meant.sum())} dots in {meant.sum()} cells", size=7.5)
            mark(ax, CELL, layout.cell)
        below.suptitle(
            f"What the marked cell of b, which points to {NAMES[asked]}, has to count in the panel of a, if this was "
            "planted:", size=8.5
        )  # fmt: skip
        figure.savefig(Path(__file__).with_suffix(".png"), dpi=200)


def show(ax: Axes, picture: np.ndarray, title: str) -> None:
    ax.imshow(picture, interpolation="nearest")
    ax.set_title(title)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[["left", "bottom"]].set_visible(False)


def mark(ax: Axes, cell: tuple[int, int], side: int) -> None:
    for colour, width in (("white", 3.2), ("black", 1.6)):
        corner = cell[1] * side - 0.5, cell[0] * side - 0.5
        ax.add_patch(Rectangle(corner, side, side, fill=False, ec=colour, lw=width))


def enlarged(panel: np.ndarray, cell: tuple[int, int], side: int) -> np.ndarray:
    return panel[cell[0] * side : (cell[0] + 1) * side, cell[1] * side : (cell[1] + 1) * side]


def dimmed(panel: np.ndarray, meant: np.ndarray, side: int) -> np.ndarray:
    kept = np.kron(meant, np.ones((side, side)))[..., None]
    return (panel * kept + (0.12 * panel + 0.88 * 235) * (1 - kept)).astype(np.uint8)


def name_parts(ax: Axes, layout: PanelLayout) -> None:
    tile, half, width = layout.tile, layout.tile // 2, layout.tile // layout.panels
    parts = {
        "a dot\n(none is\nblack)": (half / 2 + 0.5, half / 2 + 0.5),
        "pointer:\na class": (half * 1.5 + 0.5, half / 2 + 0.5),
        "hint of\nits class\nin a": (width / 2 + 0.5, half * 1.5 + 0.5),
        "hint of\nits class\nin b": (width * 1.5 + 0.5, half * 1.5 + 0.5),
    }
    for text, place in parts.items():
        box = {"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.85}
        ax.text(*place, text, ha="center", va="center", size=5.6, bbox=box)
    ax.set_xlabel("around them, the ground:\nthe cell's own class in b", size=7.5)
    assert tile == 4


if __name__ == "__main__":
    main()
