"""The search supergraph (Sec. 3.3, Fig. 2b): every candidate in every block, mixed by the weights of a selection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from atrc.distillation._atrc import RowFusion, apart, build_context, call, densities, row_hidden
from atrc.distillation._base import Features
from atrc.distillation._pooling import Call
from atrc.distillation._rows import Block, pooled_rows
from searchspace import NONE, CPSpace, Selection, block

__all__ = ["CPBlock", "Supergraph"]


class CPBlock(nn.Module):
    """The candidates of one context-pooling block.

    Args:
        options: Names of the candidates; ``none`` gets no module.
        target: Name of the target task.
        source: Name of the source task.
        target_channels: C of the target.
        source_channels: C of the source.
        hidden: d, the channels of the output.
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
        self.candidates = nn.ModuleDict()
        self.calls: dict[str, Call] = {}
        for option in options:
            if option != NONE:
                context = build_context(
                    option, target_channels, source_channels, hidden, contexts, affine_value=False
                )
                self.candidates[option] = context
                self.calls[option] = call(context, target, source)

        self.hidden = hidden
        self.choice = block(target, source)

    def under(self, selection: Selection) -> Block:
        """Returns the contexts that run under a selection, with their weights."""
        active = [(self.calls[name], weight) for name, weight in selection[self.choice] if name != NONE]
        return Block(self.hidden, [one for one, _ in active], [weight for _, weight in active], self)

    def forward(self, features: Features, density: Features, selection: Selection) -> Tensor | None:
        """Computes the output of this block alone, without fusing.

        Args:
            features: Task -> ``(B, C, H, W)``, at least for the two tasks of the block.
            density: Task -> region densities ``(B, R, H, W)``.
            selection: Active contexts and their weights.

        Returns:
            ``(B, hidden, H, W)``; None if only ``none`` is active.
        """
        found = self.under(selection)
        if not found.calls:
            return None
        target, source = found.calls[0].target, found.calls[0].source
        return pooled_rows({(target, source): found}, features, density, fused=False, checkpoint=False)[target]


class Supergraph(nn.Module):
    """The ATRC module with all candidates of the cp space, run under a `Selection`.

    Its parameters are the network weights; the strategy owns those of the architecture. The value projections have no
    learned scale, since it could compensate the mixing weight. There is no dropout.

    Args:
        channels: Task -> C of its features.
        space: The cp space.
        hidden: d of the blocks; default C // 2 of the target.
        contexts: Options per context type.
        fused: Whether computations that the contexts share are done once (see `_pooling`); results are the same.
        checkpoint: Whether the backward pass computes every block again, to save memory; results are the same.
        mask_padding: Whether label regions leave out padded pixels; see `spatial_softmax`.
    """

    def __init__(
        self,
        channels: Mapping[str, int],
        space: CPSpace,
        *,
        hidden: int | None = None,
        contexts: Mapping[str, Mapping[str, Any]] | None = None,
        fused: bool = True,
        checkpoint: bool = False,
        mask_padding: bool = True,
    ) -> None:
        super().__init__()
        self.space = space
        self.blocks = nn.ModuleDict()
        self.rows = nn.ModuleDict()
        self._grid: dict[tuple[str, str], CPBlock] = {}
        self.fused = fused
        self.checkpoint = checkpoint
        self.mask_padding = mask_padding
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
            self._grid.update({(target, source): cp_block for source, cp_block in row.items()})
            self.blocks[target] = nn.ModuleDict(row)
            self.rows[target] = RowFusion(channels[target], width * len(space.tasks))

    def forward(
        self, features: Features, regions: Features, selection: Selection, valid: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Returns the refined features of every task under a selection, see `Distillation.forward`."""
        pooled = self._pooled(features, regions, selection, valid)
        return {target: self.rows[target](features[target], [pooled[target]]) for target in self.space.tasks}

    def pool(
        self, features: Features, regions: Features, selection: Selection, valid: Tensor | None = None
    ) -> dict[str, dict[str, Tensor]]:
        """Returns target -> source -> output of their block, ``(B, d, H, W)``; zeros where the block is cut."""
        return apart(self._pooled(features, regions, selection, valid), self.space.pairs(), self.space.tasks)

    def _pooled(
        self, features: Features, regions: Features, selection: Selection, valid: Tensor | None
    ) -> dict[str, Tensor]:
        """Returns for every target the outputs of its blocks, side by side."""
        blocks = {pair: self._grid[pair].under(selection) for pair in self.space.pairs()}
        reads = frozenset(one.reads for each in blocks.values() for one in each.calls if one.reads)
        density = densities(regions, reads, valid if self.mask_padding else None)
        return pooled_rows(blocks, features, density, fused=self.fused, checkpoint=self.checkpoint)

    def reference_form(self) -> None:
        """Computes every context by itself from now on: fused projections have no batch norms."""
        self.fused = False
