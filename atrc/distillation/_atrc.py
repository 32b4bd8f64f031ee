"""The ATRC module (Sec. 3.1): a row of context-pooling blocks for every target task, with the found contexts.

Drop it into any network that has a feature map per task::

    genotype = load_genotype(Path("genotype.json"))
    atrc = ATRC({"semseg": 64, "depth": 64}, genotype)
    refined = atrc(features, regions)      # {task: (B, C, H, W)} in, the same out
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from atrc.contexts import CONTEXTS, Context, LabelSpace, conv_bn_relu
from atrc.contexts.attention import spatial_softmax
from atrc.distillation._base import DISTILLATIONS, Distillation, Features
from searchspace import NONE, CPSpace, Genotype, InputError, block

__all__ = ["ATRC", "RowFusion", "build_context", "densities", "region_task", "row_hidden"]


class RowFusion(nn.Module):
    """Joins the block outputs of one row with the target's own features.

    Concatenated blocks - 1x1 conv - BN (zero-initialised, so that the module starts near the identity) - concatenated
    with F_T - 1x1 conv - BN - ReLU - dropout2d. A row without blocks keeps the second conv alone.

    Args:
        channels: C of the target.
        pooled: Summed channels of the blocks; 0 for a row without any.
        dropout: Probability of dropping a channel in training.
    """

    def __init__(self, channels: int, pooled: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.out: nn.Sequential | None = None
        if pooled:
            self.out = nn.Sequential(nn.Conv2d(pooled, channels, 1, bias=False), nn.BatchNorm2d(channels))
            nn.init.zeros_(self.out[1].weight)  # type: ignore[arg-type]
        self.fuse = conv_bn_relu(2 * channels if pooled else channels, channels)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, target: Tensor, pooled: Sequence[Tensor]) -> Tensor:
        """``(B, C, H, W)`` from F_T and the outputs of the row's blocks."""
        if self.out is not None:
            target = torch.cat([self.out(torch.cat(list(pooled), dim=1)), target], dim=1)
        return self.dropout(self.fuse(target))


@DISTILLATIONS.register("atrc")
class ATRC(Distillation):
    """Task-relational context with one fixed context type per block.

    Args:
        channels: Task -> C of its features; or one int for all tasks of the genotype.
        genotype: A genotype of the cp space. Its tasks are the module's.
        hidden: d of the blocks; default C // 2 of the target.
        dropout: dropout2d on every refined map, 0.05 in the paper.
        contexts: Options per context type, e.g. ``{"local": {"border": "zero"}}``.

    Raises:
        InputError: A task of the genotype has no channels, or a context type is not registered.
    """

    def __init__(
        self,
        channels: Mapping[str, int] | int,
        genotype: Genotype,
        *,
        hidden: int | None = None,
        dropout: float = 0.05,
        contexts: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__()
        if genotype.space != "cp":
            raise InputError(f"ATRC takes a genotype of the cp space, got one of {genotype.space!r}")
        self.space = CPSpace(**genotype.parameters)
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
        self._grid: dict[str, dict[str, Context]] = {}
        for target in self.space.tasks:
            width = row_hidden(channels, target, hidden)
            row: dict[str, Context] = {}
            for source in self.space.tasks:
                option = self.genotype[block(target, source)]
                if option != NONE:
                    row[source] = build_context(
                        option, channels[target], channels[source], width, contexts, affine_value=True
                    )
            self._grid[target] = row
            self.blocks[target] = nn.ModuleDict(row)
            self.rows[target] = RowFusion(channels[target], width * len(row), dropout=dropout)
        readers = (region_task(context, t, s) for t, row in self._grid.items() for s, context in row.items())
        self.region_tasks = frozenset(task for task in readers if task is not None)

    def pool(self, target: str, features: Features, density: Features) -> list[Tensor]:
        """Outputs of the blocks of one row, in the order of the sources that are not ``none``."""
        outputs = []
        for source, context in self._grid[target].items():
            reads = region_task(context, target, source)
            outputs.append(context(features[target], features[source], density[reads] if reads else None))
        return outputs

    def forward(self, features: Features, regions: Features, valid: Tensor | None = None) -> dict[str, Tensor]:
        density = densities(regions, self.region_tasks, valid)
        return {
            target: self.rows[target](features[target], self.pool(target, features, density))
            for target in self.space.tasks
        }


def row_hidden(channels: Mapping[str, int], target: str, hidden: int | None) -> int:
    """d of the blocks of one row."""
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
    """A registered context with its options."""
    extra = (options or {}).get(option, {})
    context: Context = CONTEXTS.create(
        option, extra, target_channels, source_channels, hidden, affine_value=affine_value
    )
    return context


def region_task(context: Context, target: str, source: str) -> str | None:
    """The task whose regions a context reads in the block (target, source), or None."""
    return {None: None, LabelSpace.TARGET: target, LabelSpace.SOURCE: source}[context.label_space]


def densities(regions: Features, tasks: frozenset[str], valid: Tensor | None) -> dict[str, Tensor]:
    """Spatial softmax of the region maps of ``tasks``, once for all blocks that read them."""
    return {task: spatial_softmax(regions[task], valid) for task in sorted(tasks)}
