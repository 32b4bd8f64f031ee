"""The ATRC module (Sec. 3.1): for every target task, a row of context-pooling blocks with the contexts of a genotype.

Drop it into any network that has a feature map per task::

    genotype = load_genotype(Path("genotype.json"))
    atrc = ATRC({"semseg": 64, "depth": 64}, genotype)
    refined = atrc(features, regions)      # {task: (B, C, H, W)} in, the same out
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from atrc.contexts import CONTEXTS, Context
from atrc.contexts.attention import spatial_softmax
from atrc.distillation._base import DISTILLATIONS, Distillation, Features
from atrc.distillation._pooling import Call
from atrc.distillation._rows import Block, pooled_rows
from atrc.layers import Pointwise, pointwise_bn_relu
from searchspace import NONE, Genotype, InputError, block
from searchspace.cp import context_space

__all__ = ["ATRC", "RowFusion", "apart", "build_context", "call", "densities", "row_hidden"]


class RowFusion(nn.Module):
    """Joins the block outputs of one row with the target's own features.

    Concatenated blocks - 1x1 conv - BN (zero-initialised, so that the module starts near the identity) - concatenated
    with F_T - 1x1 conv - BN - ReLU - dropout2d. A row without blocks keeps the second conv alone.

    Args:
        channels: C of the target.
        pooled: Sum of the channels of the blocks; 0 for a row without blocks.
        dropout: Probability of dropping a channel in training.
    """

    def __init__(self, channels: int, pooled: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.out: nn.Sequential | None = None
        if pooled:
            self.out = nn.Sequential(Pointwise(pooled, channels, bias=False), nn.BatchNorm2d(channels))
            nn.init.zeros_(self.out[1].weight)  # type: ignore[arg-type]
        self.fuse = pointwise_bn_relu(2 * channels if pooled else channels, channels)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, target: Tensor, pooled: Sequence[Tensor]) -> Tensor:
        """Computes ``(B, C, H, W)`` from F_T and the outputs of the row's blocks."""
        return self.dropout(self.fuse(self._joined(target, pooled)))

    def _joined(self, target: Tensor, pooled: Sequence[Tensor]) -> Tensor:
        if self.out is None:
            return target
        row = pooled[0] if len(pooled) == 1 else torch.cat(list(pooled), dim=1)
        return torch.cat([self.out(row), target], dim=1)

    def before_relu(self, target: Tensor, pooled: Sequence[Tensor]) -> Tensor:
        """Computes `forward` up to the ReLU, its only step that is not linear in evaluation mode."""
        found: Tensor = self.fuse[:2](self._joined(target, pooled))
        return found

    def effects(self, widths: Sequence[int]) -> list[Tensor]:
        """Returns the derivative of `before_relu` by each block's output at the same pixel: ``(C, d)`` matrices.

        Args:
            widths: d, the channels, of every block.
        """
        if self.out is None:
            return []
        out, fuse = _scaled_weight(self.out), _scaled_weight(self.fuse)
        return list((fuse[:, : len(out)] @ out).split(list(widths), dim=1))


def _scaled_weight(layers: nn.Sequential) -> Tensor:
    """Returns ``(out, in)``: a 1x1 convolution's weight times the scale of the norm after it in evaluation mode."""
    conv, norm = cast(nn.Conv2d, layers[0]), cast(nn.BatchNorm2d, layers[1])
    variance = cast(Tensor, norm.running_var)
    return (norm.weight * torch.rsqrt(variance + norm.eps))[:, None] * conv.weight.flatten(1)


@DISTILLATIONS.register("atrc")
class ATRC(Distillation):
    """A module that refines task features with one fixed context type per block.

    Args:
        channels: Task -> C of its features; or one int for all tasks of the genotype.
        genotype: A genotype of the cp space, or of a registered subclass of it. It also names the module's tasks.
        hidden: d of the blocks; default C // 2 of the target.
        dropout: Probability of dropping a channel of a refined map, 0.05 in the paper.
        contexts: Options per context type, e.g. ``{"local": {"border": "zero"}}``.
        fused: Whether computations that the contexts share are done once (see `_pooling`); results are the same.
        checkpoint: Whether the backward pass computes every block again, to save memory; results are the same.
        mask_padding: Whether label regions leave out padded pixels; see `spatial_softmax`.

    Raises:
        InputError: The genotype belongs to another space, one of its tasks has no channels, or a context type is not
            registered.
    """

    def __init__(
        self,
        channels: Mapping[str, int] | int,
        genotype: Genotype,
        *,
        hidden: int | None = None,
        dropout: float = 0.05,
        contexts: Mapping[str, Mapping[str, Any]] | None = None,
        fused: bool = True,
        checkpoint: bool = False,
        mask_padding: bool = True,
    ) -> None:
        super().__init__()
        self.space = context_space(genotype)
        self.genotype = self.space.validate(genotype)
        if isinstance(channels, int):
            channels = dict.fromkeys(self.space.tasks, channels)
        missing = [task for task in self.space.tasks if task not in channels]
        if missing:
            raise InputError(
                f"the genotype has the task {missing[0]!r}, but features exist for {', '.join(channels)}"
            )
        self.blocks = nn.ModuleDict()
        self.rows = nn.ModuleDict()
        self._blocks: dict[tuple[str, str], Block] = {}
        self.fused = fused
        self.checkpoint = checkpoint
        self.mask_padding = mask_padding
        for target in self.space.tasks:
            width = row_hidden(channels, target, hidden)
            row: dict[str, Context] = {}
            for source in self.space.tasks:
                option = self.genotype[block(target, source)]
                if option != NONE:
                    row[source] = build_context(
                        option, channels[target], channels[source], width, contexts, affine_value=True
                    )
                    self._blocks[target, source] = Block(
                        width, [call(row[source], target, source)], [None], row[source]
                    )
            self.blocks[target] = nn.ModuleDict(row)
            self.rows[target] = RowFusion(channels[target], width * len(row), dropout=dropout)
        reads = (one.reads for blocks in self._blocks.values() for one in blocks.calls)
        self.region_tasks = frozenset(task for task in reads if task is not None)

    def forward(self, features: Features, regions: Features, valid: Tensor | None = None) -> dict[str, Tensor]:
        pooled = self._pooled(features, regions, valid)
        return {
            target: row(features[target], [pooled[target]] if target in pooled else [])
            for target, row in self.rows.items()
        }

    def pool(
        self, features: Features, regions: Features, valid: Tensor | None = None
    ) -> dict[str, dict[str, Tensor]]:
        """Returns target -> source -> output of their block, ``(B, d, H, W)``; blocks that are cut are left out."""
        return apart(self._pooled(features, regions, valid), self._blocks, self.space.tasks)

    def _pooled(self, features: Features, regions: Features, valid: Tensor | None) -> dict[str, Tensor]:
        """Returns the outputs of the blocks of a target, side by side, for every target with a block."""
        density = densities(regions, self.region_tasks, valid if self.mask_padding else None)
        return pooled_rows(self._blocks, features, density, fused=self.fused, checkpoint=self.checkpoint)

    def fusion(self) -> list[nn.Module]:
        return [self.rows]

    def reference_form(self) -> None:
        """Computes every context by itself from now on: fused projections have no batch norms."""
        self.fused = False


def row_hidden(channels: Mapping[str, int], target: str, hidden: int | None) -> int:
    """Returns d of the blocks of one row."""
    return hidden if hidden is not None else channels[target] // 2


def build_context(
    option: str,
    target_channels: int,
    source_channels: int,
    hidden: int,
    options: Mapping[str, Mapping[str, Any]] | None,
    *,
    affine_value: bool,
) -> Context:
    """Builds a registered context with its options."""
    extra = (options or {}).get(option, {})
    context: Context = CONTEXTS.create(
        option, extra, target_channels, source_channels, hidden, affine_value=affine_value
    )
    return context


def call(context: Context, target: str, source: str) -> Call:
    """Places a context in the block (target, source)."""
    return Call(context, target, source, context.reads(target, source))


def apart(
    pooled: Mapping[str, Tensor], blocks: Iterable[tuple[str, str]], targets: Iterable[str]
) -> dict[str, dict[str, Tensor]]:
    """Takes rows of blocks apart: target -> ``(B, blocks * d, H, W)`` to target -> source -> ``(B, d, H, W)``."""
    sources: dict[str, list[str]] = {target: [] for target in targets}
    for target, source in blocks:
        sources[target].append(source)
    return {
        target: dict(zip(row, pooled[target].chunk(len(row), dim=1), strict=True)) if row else {}
        for target, row in sources.items()
    }


def densities(regions: Features, tasks: frozenset[str], valid: Tensor | None) -> dict[str, Tensor]:
    """Computes the spatial softmax of the region maps of ``tasks``, once for all blocks that read them."""
    return {task: spatial_softmax(regions[task], valid) for task in sorted(tasks)}
