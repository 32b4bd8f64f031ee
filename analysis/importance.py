"""Permutation importance of context-pooling blocks (Sec. 4.4, Fig. 6).

How much does a network lean on a block? The block's output is permuted over the whole held-out set, so that
images get what the block computed for another one, and the metric of its target task drops. A permutation is drawn
uniformly, as in the paper: on average one image keeps its own output, however many there are. With very few images
that is a large share (half of two), by which the drop is too small.

A block of row T reaches the prediction of task T only, and up to the ReLU of the row's fusion everything behind it is
linear. So what every row holds before its ReLU, and the block outputs, are computed once and kept; for a permutation,
one small product gives what changes, and one prediction layer and one metric run again. Images that keep their own
output are predicted and counted once for all blocks of a row.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from analysis.blocks import Blocks
from atrc.data import Batch
from atrc.inference import decode_predictions, evaluate, update_metrics
from atrc.networks import Predictions
from searchspace import NONE, InputError

if TYPE_CHECKING:
    from torchmetrics import Metric

__all__ = ["PERMUTATIONS", "block_importance", "permuted_metrics"]

PERMUTATIONS = 10
MEMORY = 4 * 2**30


def block_importance(
    blocks: Blocks,
    batches: Iterable[Batch],
    images: int,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    device: torch.device | str = "cpu",
    autocast: AbstractContextManager[object] | None = None,
    memory: int = MEMORY,
    quiet: bool = False,
) -> pd.DataFrame:
    """Measures how far the target task's metric drops when a block's output is permuted.

    All blocks are permuted by the same permutations, so that blocks are compared under the same permutations.

    Args:
        blocks: The blocks of a trained network.
        batches: The held-out set.
        images: Number of images in it.
        permutations: Number of permutations of each block.
        seed: Seed of the permutations.
        device: Device of the network.
        autocast: The context in which the network was trained; None: full precision.
        memory: Bytes of memory that maps may take; larger ones are kept in temporary files.
        quiet: Whether the progress bar is left out.

    Returns:
        One row per block and permutation: ``target``, ``source``, ``context``, ``permutation``, ``before`` and
        ``after`` (the target's metric, in its unit), ``drop`` (the difference, positive where permuting made it
        worse). The drop of a block that is cut is exactly 0.

    Raises:
        InputError: No permutation was asked for, or there are fewer than two images.
    """
    if permutations < 1 or images < 2:
        raise InputError(f"importance needs a permutation and two images, got {permutations} and {images}")
    generator = np.random.default_rng(seed)
    orders = [torch.from_numpy(generator.permutation(images)) for _ in range(permutations)]
    cut = {(target, source) for target, source in blocks.space.pairs() if blocks.chosen(target, source) == NONE}
    work = len(blocks.space.tasks) + (len(blocks.space) - len(cut)) * permutations
    rows = []
    with (
        tempfile.TemporaryDirectory() as folder,
        autocast or nullcontext(),
        torch.no_grad(),
        tqdm(total=work, desc="importance", unit="permutation", disable=quiet, dynamic_ncols=True) as bar,
    ):
        recorded = _Recorded(blocks, batches, images, device, memory, Path(folder))
        for target in blocks.space.tasks:
            better = 1 if blocks.network.tasks[target].higher_is_better else -1
            before = float(recorded.unchanged(target, torch.arange(images)).compute())
            bar.update()
            begun = [recorded.unchanged(target, order) for order in orders]
            for source in blocks.space.tasks:
                for number, order in enumerate(orders):
                    after = before
                    if (target, source) not in cut:
                        after = recorded.permuted(target, source, order, begun[number].clone())
                        bar.update()
                    context = blocks.chosen(target, source)
                    rows.append((target, source, context, number, before, after, better * (before - after)))
    columns = ["target", "source", "context", "permutation", "before", "after", "drop"]
    return pd.DataFrame(rows, columns=columns)


def permuted_metrics(
    blocks: Blocks,
    batches: Sequence[Batch],
    target: str,
    source: str,
    orders: Iterable[Tensor],
    *,
    device: torch.device | str = "cpu",
) -> Iterator[dict[str, float]]:
    """Every task's metric with one block permuted, by full forward passes: the reference of `block_importance`.

    Args:
        blocks: The blocks of a trained network.
        batches: The held-out set; it is passed once, and once more per permutation.
        target: Target task of the block.
        source: Source task of the block.
        orders: Permutations, ``(images,)`` each: image i gets the block's output for image ``order[i]``.
        device: Device of the network.
    """
    device, tasks = torch.device(device), blocks.network.tasks
    with torch.no_grad():
        outputs = torch.cat([blocks.pool(batch.to(device))[1][target][source] for batch in batches])

    def predict(parts: Iterator[Tensor], batch: Batch) -> Predictions:
        features, pooled = blocks.pool(batch)
        pooled[target][source] = outputs[next(parts)]
        rows = {task: blocks.predict(task, features[task], list(pooled[task].values())) for task in tasks}
        return Predictions(rows, {})

    for order in orders:
        parts = iter(order.split([len(batch) for batch in batches]))
        yield evaluate(partial(predict, parts), batches, tasks, device)


class _Recorded:
    """Maps that a network computed for every image of a set: rows before their ReLU, block outputs; and the labels.

    Args:
        blocks: The blocks of a trained network.
        batches: The held-out set; it is passed once.
        images: Number of images.
        device: Device of the network. Maps are kept in ordinary memory, or in files.
        memory: Bytes beyond which files are used.
        folder: Folder of these files.
    """

    def __init__(
        self,
        blocks: Blocks,
        batches: Iterable[Batch],
        images: int,
        device: torch.device | str,
        memory: int,
        folder: Path,
    ) -> None:
        self._blocks, self._device = blocks, device
        self._maps: dict[tuple[str, ...], Tensor] = {}
        self._parts: list[slice] = []
        done = 0
        for batch in batches:
            features, pooled = blocks.pool(batch.to(device))
            found: dict[tuple[str, ...], Tensor] = {
                ("row", target): blocks.before_relu(target, features[target], list(row.values()))
                for target, row in pooled.items()
            }
            found |= {("block", t, s): maps for t, row in pooled.items() for s, maps in row.items()}
            found |= {("label", target): batch.labels[target] for target in blocks.space.tasks}
            found["valid",] = batch.valid
            if not self._maps:
                self._size = batch.label_size
                needed = images * sum(maps[0].nbytes for maps in found.values())
                place = folder if needed > memory else None
                for name, maps in found.items():
                    self._maps[name] = _room(maps, images, place, "-".join(name))
            part = slice(done, done + len(batch))
            for name, maps in found.items():
                self._maps[name][part] = maps.to("cpu")
            self._parts.append(part)
            done += len(batch)
        if done != images:
            raise InputError(f"the held-out set must give {images} images, but gave {done}")

    def unchanged(self, target: str, order: Tensor) -> Metric:
        """The target's metric, updated with the images that keep their own output under a permutation."""
        metric: Metric = self._blocks.network.tasks[target].metric().to(self._device)
        for images in self._split(order == torch.arange(len(order))):
            self._update(metric, target, images, self._maps["row", target][images].to(self._device))
        return metric

    def permuted(self, target: str, source: str, order: Tensor, metric: Metric) -> float:
        """The target's metric with the block of one source permuted.

        Args:
            target: The task.
            source: The source task of the block.
            order: A permutation, ``(images,)``.
            metric: The metric of `unchanged`, which is updated with the other images.
        """
        widths = {name[2]: maps.shape[1] for name, maps in self._maps.items() if name[:2] == ("block", target)}
        effects = dict(zip(widths, self._blocks.effects(target, list(widths.values())), strict=True))
        outputs = self._maps["block", target, source]
        for images in self._split(order != torch.arange(len(order))):
            change = (outputs[order[images]] - outputs[images]).to(self._device)
            row = self._maps["row", target][images].to(self._device)
            self._update(metric, target, images, row + F.conv2d(change, effects[source][:, :, None, None]))
        return float(metric.compute())

    def _split(self, chosen: Tensor) -> Iterator[Tensor | slice]:
        """The chosen images ``(images,)``, batch by batch; a whole batch as a slice, which is not copied."""
        for part in self._parts:
            if chosen[part].all():
                yield part
            elif chosen[part].any():
                yield part.start + chosen[part].nonzero()[:, 0]

    def _update(self, metric: Metric, target: str, images: Tensor | slice, row: Tensor) -> None:
        """Adds images to a metric, given what the row holds before its ReLU."""
        raw, task = self._blocks.finish(target, row), self._blocks.network.tasks[target]
        decoded = decode_predictions(Predictions({target: raw}, {}), {target: task}, self._size)
        labels = {target: self._maps["label", target][images].to(self._device)}
        update_metrics({target: metric}, decoded, labels, self._maps["valid",][images])


def _room(maps: Tensor, images: int, folder: Path | None, name: str) -> Tensor:
    """An empty tensor for the maps of all images, in memory or in a file of the folder."""
    shape = (images, *maps.shape[1:])
    if folder is None:
        return torch.empty(shape, dtype=maps.dtype)
    numel = images * maps[0].numel()
    return torch.from_file(str(folder / name), shared=True, size=numel, dtype=maps.dtype).view(shape)
