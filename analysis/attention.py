"""Attention maps (Fig. 3): where a pixel of the target task takes its context from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.blocks import Blocks
from atrc.inference.predict import fitted_batch
from searchspace import NONE, InputError

__all__ = ["AttentionMap", "attention_maps", "attention_table"]


@dataclass(frozen=True)
class AttentionMap:
    """Attention of one block at one pixel.

    Attributes:
        target: The target task.
        source: The source task.
        context: The context type; ``none`` for a block that is cut.
        weights: ``(h, w)`` on the grid of the features: how much of each source pixel is taken, in 0..1; zeros where
            the block is cut.
    """

    target: str
    source: str
    context: str
    weights: np.ndarray


def attention_maps(
    blocks: Blocks,
    image: np.ndarray,
    size: tuple[int, int],
    pixel: tuple[int, int],
    pairs: Iterable[tuple[str, str]] | None = None,
    contexts: Sequence[str] | None = None,
    *,
    every: bool = False,
) -> list[AttentionMap]:
    """Computes how blocks attend for one pixel of an image.

    Args:
        blocks: The blocks of a trained network.
        image: ``(H, W, 3)`` uint8, of any size.
        size: (h, w) at which the network was trained; the image is resized to fit.
        pixel: ``(row, column)`` of the image.
        pairs: (target, source) of the blocks; by default every target with itself, as in the paper.
        contexts: Context types; a supergraph has all that its blocks offer. By default the chosen one.
        every: Whether every context type of each block is taken instead; a supergraph has several.

    Raises:
        InputError: The pixel is not in the image; a block has no such context.
    """
    height, width = image.shape[:2]
    if not (0 <= pixel[0] < height and 0 <= pixel[1] < width):
        raise InputError(f"pixel {pixel[0]},{pixel[1]} is not in the image, whose size is {height}x{width}")
    device = next(blocks.network.parameters()).device
    batch = fitted_batch(image, size).to(device)
    found = []
    for target, source in pairs or [(task, task) for task in blocks.space.tasks]:
        for context in blocks.candidates(target, source) if every else contexts or [blocks.chosen(target, source)]:
            rows, columns = blocks.network.backbone.grid((batch.image.shape[2], batch.image.shape[3]))
            if context == NONE:
                found.append(AttentionMap(target, source, context, np.zeros((rows, columns), dtype=np.float32)))
                continue
            at = pixel[0] * rows // height, pixel[1] * columns // width
            weights = blocks.attention(batch, [at], target, source, context)[0]
            found.append(AttentionMap(target, source, context, weights.float().cpu().numpy()))
    return found


def attention_table(maps: Iterable[AttentionMap]) -> pd.DataFrame:
    """Returns the maps as a table of ``target``, ``source``, ``context``, grid ``row`` and ``column``, ``weight``."""
    parts = []
    for one in maps:
        row, column = (index.ravel() for index in np.indices(one.weights.shape))
        place = {"target": one.target, "source": one.source, "context": one.context}
        parts.append(pd.DataFrame({**place, "row": row, "column": column, "weight": one.weights.ravel()}))
    return pd.concat(parts, ignore_index=True)
