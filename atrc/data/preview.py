"""A contact sheet: some samples of a dataset with all their label maps, as one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from atrc.data._base import Dataset, Sample
from atrc.tasks import Task

__all__ = ["contact_sheet"]

_PAPER = (250, 250, 248)
_INK = (38, 42, 54)
_FAINT = (128, 132, 142)
_RULE = (222, 222, 218)

_MARGIN = 28
_GAP = 10
_TITLE_HEIGHT = 54
_HEAD_HEIGHT = 30
_CAPTION_HEIGHT = 22
_CELL = 192
"""Approximate length in pixels of the shorter side, to which pictures are enlarged by a whole factor."""


def contact_sheet(
    dataset: Dataset, tasks: Mapping[str, Task], indices: Sequence[int], path: Path | None = None
) -> Image.Image:
    """Draws one row per sample: the image, then every label map as its task draws it; ids below the images.

    Args:
        dataset: Dataset of the samples.
        tasks: Task name -> task, one column each, in this order. The dataset must give their labels.
        indices: Indices of the samples.
        path: File for the picture; its suffix chooses the format. None saves nothing.

    Raises:
        InputError: A sample cannot be read.
    """
    rows = [_row(dataset[index], tasks) for index in indices]
    height, width = dataset.info.size
    factor = max(1, round(_CELL / min(height, width)))
    cell_height, cell_width = height * factor, width * factor
    columns = ["image", *tasks]
    sheet = Image.new(
        "RGB",
        (
            2 * _MARGIN + len(columns) * cell_width + (len(columns) - 1) * _GAP,
            _TITLE_HEIGHT + _HEAD_HEIGHT + len(rows) * (cell_height + _CAPTION_HEIGHT) + _MARGIN,
        ),
        _PAPER,
    )
    draw = ImageDraw.Draw(sheet)
    _title(draw, sheet.width, dataset)
    for column, name in enumerate(columns):
        x = _MARGIN + column * (cell_width + _GAP)
        draw.text(
            (x + cell_width // 2, _TITLE_HEIGHT + 8),
            _fitting(name.replace("_", " "), cell_width),
            fill=_INK,
            font=ImageFont.load_default(size=15),
            anchor="ma",
        )
    for row, (name, pictures) in enumerate(rows):
        y = _TITLE_HEIGHT + _HEAD_HEIGHT + row * (cell_height + _CAPTION_HEIGHT)
        for column, picture in enumerate(pictures):
            x = _MARGIN + column * (cell_width + _GAP)
            high, wide = _inside(picture.shape[:2], (cell_height, cell_width))
            left, top = x + (cell_width - wide) // 2, y + (cell_height - high) // 2
            cell = Image.fromarray(np.ascontiguousarray(picture)).resize((wide, high), Image.Resampling.NEAREST)
            sheet.paste(cell, (left, top))
            # The outline separates white label maps from the white background.
            draw.rectangle((left - 1, top - 1, left + wide, top + high), outline=_RULE)
        caption = _fitting(name, cell_width)
        draw.text((_MARGIN, y + cell_height + 4), caption, fill=_FAINT, font=ImageFont.load_default(size=12))
    if path is not None:
        sheet.save(path)
    return sheet


def _inside(size: tuple[int, ...], cell: tuple[int, int]) -> tuple[int, int]:
    """Returns the largest ``(H, W)`` of the same aspect ratio that fits into a cell."""
    scale = min(room / side for room, side in zip(cell, size, strict=True))
    return round(size[0] * scale), round(size[1] * scale)


def _row(sample: Sample, tasks: Mapping[str, Task]) -> tuple[str, list[np.ndarray]]:
    """Returns the sample's id and its pictures, each ``(H, W, 3)`` uint8."""
    return sample.id, [sample.image, *(task.draw(sample.labels[name]) for name, task in tasks.items())]


def _title(draw: ImageDraw.ImageDraw, width: int, dataset: Dataset) -> None:
    height, columns = dataset.info.size
    draw.text((_MARGIN, 16), dataset.info.name, fill=_INK, font=ImageFont.load_default(size=21))
    draw.text(
        (width - _MARGIN, 22),
        f"{len(dataset)} samples, {height} x {columns}",
        fill=_FAINT,
        font=ImageFont.load_default(size=13),
        anchor="ra",
    )
    draw.line((_MARGIN, _TITLE_HEIGHT - 6, width - _MARGIN, _TITLE_HEIGHT - 6), fill=_RULE)


def _fitting(text: str, width: int) -> str:
    """Returns ``text``, cut to the width of a column."""
    font = ImageFont.load_default(size=15)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."
