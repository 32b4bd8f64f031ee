"""The backbone of problems whose pictures have a panel for every task: each task sees its own panel, cell by cell.

A task can get information about another one only through its context-pooling block. So it is known which context
every block needs, see `atrc.data.planted`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from atrc.backbones._base import BACKBONES, Backbone, Maps
from atrc.layers import conv_bn_relu, init_from_scratch
from searchspace import InputError

__all__ = ["PanelLayout", "Panels"]


class Place(NamedTuple):
    """The place of a panel in a picture."""

    rows: slice
    columns: slice


@dataclass(frozen=True)
class PanelLayout:
    """Panels side by side, row by row, as nearly in a square as possible; a panel is a square of square cells.

    Attributes:
        panels: N, the number of panels.
        grid: G, the number of cells along a side of a panel.
    """

    panels: int
    grid: int

    border = 1
    """Pixels around the tile of a cell."""

    @property
    def tile(self) -> int:
        """Number of pixels along a side of the inner part of a cell, which has room for a column of every panel."""
        return max(4, self.panels)

    @property
    def cell(self) -> int:
        """Number of pixels along a side of a cell."""
        return self.tile + 2 * self.border

    @property
    def columns(self) -> int:
        """Number of panels in a row."""
        return math.ceil(math.sqrt(self.panels))

    @property
    def size(self) -> tuple[int, int]:
        """``(H, W)`` of a picture."""
        side = self.grid * self.cell
        return -(-self.panels // self.columns) * side, self.columns * side

    def place(self, panel: int) -> Place:
        """Returns the rows and columns of a panel."""
        side = self.grid * self.cell
        row, column = divmod(panel, self.columns)
        return Place(slice(row * side, (row + 1) * side), slice(column * side, (column + 1) * side))

    def cells(self, image: Tensor, panel: int) -> Tensor:
        """Cuts a panel of images ``(B, C, H, W)`` into cells, ``(B, C, cell, cell, G, G)``."""
        rows, columns = self.place(panel)
        cut = image[:, :, rows, columns].unflatten(3, (self.grid, self.cell)).unflatten(2, (self.grid, self.cell))
        return cut.permute(0, 1, 3, 5, 2, 4)


@BACKBONES.register("panels")
class Panels(Backbone):
    """An encoder for every task: one 1x1 convolution - BN - ReLU on the tiles of the cells of the task's panel.

    A task gets two maps with one pixel per cell. The first is the encoder's output for the tile. The second holds the
    pixels of the whole cell, including its border, as the input of the auxiliary head. So this head sees the ground
    colour, and the encoder does not.

    Args:
        tasks: Names of the panels, in the order of the picture; by default the config's tasks.
        grid: G, the number of cells along a side of a panel.
        width: Channels of an encoder's output.

    Raises:
        InputError: There is no task, one is named twice, or a number is not positive.
    """

    name = "panels"
    strides = (1, 1)

    def __init__(self, tasks: Sequence[str], *, grid: int = 10, width: int = 32) -> None:
        super().__init__()
        if not tasks or len(set(tasks)) != len(tasks) or grid < 1 or width < 1:
            raise InputError(
                f"the backbone 'panels' got tasks={list(tasks)}, {grid=}, {width=}: give different tasks"
            )
        self.layout = PanelLayout(len(tasks), grid)
        self.channels = (width, 3 * self.layout.cell**2)
        self.encoders = nn.ModuleDict({task: conv_bn_relu(3 * self.layout.tile**2, width, 1) for task in tasks})
        init_from_scratch(self)

    def grid(self, size: tuple[int, int]) -> tuple[int, int]:
        """Returns ``(G, G)``.

        Raises:
            InputError: The size is not that of the layout.
        """
        self._check(size)
        return self.layout.grid, self.layout.grid

    def _check(self, size: tuple[int, ...]) -> None:
        if tuple(size) != self.layout.size:
            (height, width), (rows, columns) = self.layout.size, size
            raise InputError(
                f"the backbone 'panels' with {self.layout.panels} tasks and grid={self.layout.grid} takes images of "
                f"{height} x {width} pixels, but got {rows} x {columns}: its tasks and grid must be the dataset's"
            )

    def forward(self, image: Tensor) -> dict[str, Maps]:
        """Returns task -> its two maps, ``(B, width, G, G)`` and ``(B, 3 x cell x cell, G, G)``.

        Args:
            image: ``(B, 3, H, W)`` with the size of the layout.

        Raises:
            InputError: The image has another shape.
        """
        if image.ndim != 4 or image.shape[1] != 3:
            raise InputError(f"the backbone 'panels' takes images (B, 3, H, W), but got {tuple(image.shape)}")
        self._check(image.shape[2:])
        border = self.layout.border
        maps = {}
        for panel, (task, encoder) in enumerate(self.encoders.items()):
            cells = self.layout.cells(image, panel)
            tiles = cells[:, :, border:-border, border:-border]
            maps[task] = [encoder(tiles.flatten(1, 3)), cells.flatten(1, 3)]
        return maps
