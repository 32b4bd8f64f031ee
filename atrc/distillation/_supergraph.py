"""The search supergraph (Sec. 3.3, Fig. 2b): every candidate in every block, mixed as a selection says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from atrc.distillation._atrc import RowFusion, build_context, densities, region_task, row_hidden
from atrc.distillation._base import Features
from searchspace import NONE, CPSpace, Selection, Weighted, block

__all__ = ["CPBlock", "Supergraph"]


class CPBlock(nn.Module):
    """One context-pooling block with all its candidates.

    Args:
        options: Names of the candidates; ``none`` gets no module.
        target: Name of the target task.
        source: Name of the source task.
        target_channels: C of the target.
        source_channels: C of the source.
        hidden: d.
        contexts: Options per context type.
    """

    def __init__(
        self,
        options: tuple[str, ...],
        target: str,
        source: str,
        target_channels: int,
        source_channels: int,
        hidden: int,
        contexts: Mapping[str, Mapping[str, Any]] | None,
    ) -> None:
        super().__init__()
        self.hidden = hidden
        self.candidates = nn.ModuleDict()
        self.reads: dict[str, str | None] = {}
        for option in options:
            if option != NONE:
                context = build_context(
                    option, target_channels, source_channels, hidden, contexts, affine_value=False
                )
                self.candidates[option] = context
                self.reads[option] = region_task(context, target, source)

    def forward(
        self, target: Tensor, source: Tensor, density: Features, active: tuple[Weighted, ...]
    ) -> Tensor | None:
        """``(B, hidden, H, W)``: the weighted sum of the active candidates; None if only ``none`` is active."""
        pooled: Tensor | None = None
        for option, weight in active:
            if option == NONE:
                continue
            reads = self.reads[option]
            output = self.candidates[option](target, source, density[reads] if reads else None)
            if weight is not None:
                output = output * weight.to(output.dtype)
            pooled = output if pooled is None else pooled + output
        return pooled


class Supergraph(nn.Module):
    """The ATRC module with all candidates of the cp space, run under a `Selection`.

    Its parameters do not include the architecture's, which the strategy owns. The value projections have no learned
    scale, which could hide the mixing weight, and there is no dropout.

    Args:
        channels: Task -> C of its features.
        space: The cp space.
        hidden: d of the blocks; default C // 2 of the target.
        contexts: Options per context type.
    """

    def __init__(
        self,
        channels: Mapping[str, int],
        space: CPSpace,
        *,
        hidden: int | None = None,
        contexts: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__()
        self.space = space
        self.blocks = nn.ModuleDict()
        self.rows = nn.ModuleDict()
        self._grid: dict[str, dict[str, CPBlock]] = {}
        for target in space.tasks:
            width = row_hidden(channels, target, hidden)
            row = {
                source: CPBlock(
                    space[block(target, source)],
                    target,
                    source,
                    channels[target],
                    channels[source],
                    width,
                    contexts,
                )
                for source in space.tasks
            }
            self._grid[target] = row
            self.blocks[target] = nn.ModuleDict(row)
            self.rows[target] = RowFusion(channels[target], width * len(space.tasks))

    def region_tasks(self, selection: Selection) -> frozenset[str]:
        """The tasks whose region maps the active candidates read."""
        return frozenset(
            reads
            for target, source in self.space.pairs()
            for option in selection.active(block(target, source))
            if (reads := self._grid[target][source].reads.get(option)) is not None
        )

    def forward(
        self, features: Features, regions: Features, selection: Selection, valid: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Refined features of every task (see `Distillation.forward`) under a selection."""
        density = densities(regions, self.region_tasks(selection), valid)
        refined = {}
        for target in self.space.tasks:
            pooled = []
            for source, cp_block in self._grid[target].items():
                output = cp_block(features[target], features[source], density, selection[block(target, source)])
                if output is None:
                    B, _, H, W = features[target].shape
                    output = features[target].new_zeros(B, cp_block.hidden, H, W)
                pooled.append(output)
            refined[target] = self.rows[target](features[target], pooled)
        return refined
