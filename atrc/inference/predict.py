"""Predicts image files with a trained run, and draws the maps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from atrc.data import Batch, Normalize, Sample, View, collate
from atrc.inference._predictor import Predictor
from atrc.inference.evaluation import as_label, decode_predictions
from atrc.machine.files import writing
from atrc.tasks import Task

__all__ = ["draw_maps", "fitted_batch", "predict_image", "save_drawings"]


@torch.no_grad()
def predict_image(predictor: Predictor, image: np.ndarray, size: tuple[int, int]) -> dict[str, Tensor]:
    """Predicts decoded maps of one image at its own resolution.

    Args:
        predictor: A trained network, in evaluation mode.
        image: Image ``(H, W, 3)`` uint8, of any size.
        size: (h, w) at which the network was trained. The image is resized to fit into it, its aspect kept.

    Returns:
        Task -> ``(H, W)``, or ``(C, H, W)`` for a task whose map has channels.
    """
    predictions = predictor(fitted_batch(image, size).to(predictor.device))
    # Values that depend on scale (depth) are those of the resized image that the network saw.
    decoded = decode_predictions(predictions, predictor.tasks, image.shape[:2])
    return {name: maps[0].cpu() for name, maps in decoded.items()}


def fitted_batch(image: np.ndarray, size: tuple[int, int]) -> Batch:
    """Returns an image ``(H, W, 3)`` uint8 as a batch of one, resized to fit into ``size``, aspect ratio kept."""
    height, width = image.shape[:2]
    scale = min(size[0] / height, size[1] / width)
    fitted = (max(32, round(height * scale)), max(32, round(width * scale)))
    small = np.asarray(Image.fromarray(image).resize(fitted[::-1], Image.Resampling.BILINEAR))
    return collate([Normalize()(View.of(Sample("", small, {})), {}, np.random.default_rng(0))])


def draw_maps(maps: Mapping[str, Tensor], tasks: Mapping[str, Task]) -> dict[str, np.ndarray]:
    """Draws maps, and returns task -> ``(H, W, 3)`` uint8 picture."""
    return {name: tasks[name].draw(as_label(one)) for name, one in maps.items()}


def save_drawings(pictures: Mapping[str, np.ndarray], out: Path, stem: str) -> Iterator[Path]:
    """Writes ``out/stem_TASK.png`` for every picture, and yields the paths."""
    for name, picture in pictures.items():
        path = out / f"{stem}_{name}.png"
        with writing(path) as file:
            Image.fromarray(picture).save(file, format="PNG")
        yield path
