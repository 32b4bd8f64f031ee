"""The context-pooling blocks of a trained network, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from analysis.spaces import BlockSpace
from atrc.contexts import Context
from atrc.contexts.attention import spatial_softmax
from atrc.data import Batch
from atrc.distillation import ATRC, RowFusion, Supergraph
from atrc.networks import on_grid
from searchspace import Genotype, InputError, Selection, UnknownNameError, block

__all__ = ["Blocks"]


class Blocks:
    """Computes parts of a network: what a block passes on, what a row makes of it, how a context attends.

    Args:
        network: A network in evaluation mode, with an ATRC module or a supergraph.
        genotype: The context types that the blocks of a supergraph run. A derived network has its own.

    Raises:
        InputError: The network has no context-pooling blocks, or a supergraph came without a genotype.
    """

    def __init__(self, network: Any, genotype: Genotype | None = None) -> None:
        module = getattr(network, "distillation", None) or getattr(network, "supergraph", None)
        if not isinstance(module, ATRC | Supergraph):
            raise InputError(
                "the network has no context-pooling blocks: it is a baseline without contexts, or a tree"
            )
        self.network = network
        self._module = module
        if isinstance(module, ATRC):
            self.genotype = module.genotype
        elif genotype is None:
            raise InputError("a supergraph needs a genotype that says which candidates run")
        else:
            self.genotype = module.space.validate(genotype)

    @property
    def space(self) -> BlockSpace:
        """The space that the blocks choose from."""
        return self._module.space

    def chosen(self, target: str, source: str) -> str:
        """The context type of a block, which may be ``none``."""
        for task in (target, source):
            if task not in self.space.tasks:
                raise UnknownNameError("task", task, self.space.tasks, "of the network's blocks")
        return self.genotype[block(target, source)]

    def candidates(self, target: str, source: str) -> list[str]:
        """The context types that a block can run: of a derived network the chosen one, if it is not cut."""
        return list(self._contexts(target, source))

    def pool(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, dict[str, Tensor]]]:
        """F_n of every task, ``(B, C, h, w)``, and target -> source -> output of the block, ``(B, d, h, w)``."""
        features, regions, _ = self.network.encode(batch.image)
        valid = on_grid(batch.valid, features)
        if isinstance(self._module, Supergraph):
            return features, self._module.pool(features, regions, Selection.of(self.genotype), valid)
        return features, self._module.pool(features, regions, valid)

    def predict(self, target: str, features: Tensor, pooled: Sequence[Tensor]) -> Tensor:
        """The raw prediction of one task, ``(B, channels, h, w)``.

        Args:
            target: The task.
            features: F_T of the task, ``(B, C, h, w)``.
            pooled: Outputs of the blocks of its row, ``(B, d, h, w)`` each, in the order of `pool`.
        """
        prediction: Tensor = self.network.predict[target](self._module.rows[target](features, pooled))
        return prediction

    def before_relu(self, target: str, features: Tensor, pooled: Sequence[Tensor]) -> Tensor:
        """Value of a row's fusion before its ReLU, ``(B, C, h, w)``; the arguments are those of `predict`."""
        found: Tensor = self._row(target).before_relu(features, pooled)
        return found

    def effects(self, target: str, widths: Sequence[int]) -> list[Tensor]:
        """Matrices, ``(C, d)`` each, by which the blocks of a row, of ``widths`` channels, add to `before_relu`."""
        return self._row(target).effects(widths)

    def finish(self, target: str, before_relu: Tensor) -> Tensor:
        """The raw prediction of one task, ``(B, channels, h, w)``, from `before_relu`."""
        prediction: Tensor = self.network.predict[target](before_relu.relu())
        return prediction

    def _row(self, target: str) -> RowFusion:
        return cast(RowFusion, self._module.rows[target])

    def attention(
        self, batch: Batch, pixels: Sequence[tuple[int, int]], target: str, source: str, context: str | None = None
    ) -> Tensor:
        """Share of every source pixel in what a target pixel takes: its row of the attention matrix (Eq. 2, Fig. 3).

        A context's output is linear in its values, whatever its type; so the row is the gradient of the output at
        the pixel with respect to the values of one channel. For label contexts, whose values are those of regions,
        it is composed with the density of the regions over the pixels.

        Args:
            batch: Images, ``(B, 3, H, W)``.
            pixels: One ``(row, column)`` of the stride-4 grid per image.
            target: The target task.
            source: The source task.
            context: A context type of the block; by default the chosen one. A derived network has no other.

        Returns:
            ``(B, h, w)``, in 0..1; an image's sum is 1, but for local context under the border rule ``zero``.

        Raises:
            InputError: The block is cut or has no such context, or the context attends in a way of its own.
        """
        module = self._context(target, source, context or self.chosen(target, source))
        with torch.no_grad():
            features, regions, _ = self.network.encode(batch.image)
            valid = on_grid(batch.valid, features)
            reads = module.reads(target, source)
            counted = valid if self._module.mask_padding else None
            density = spatial_softmax(regions[reads], counted) if reads is not None else None
            query, key, value = module.project(features[target], features[source], density)
        value.requires_grad_()
        images = torch.arange(len(pixels), device=value.device)
        rows, columns = torch.tensor(pixels, device=value.device).unbind(1)
        with torch.enable_grad():
            taken = module.attend(query, key, value)[images, 0, rows, columns].sum()
        weights = torch.autograd.grad(taken, value)[0][:, 0]
        if density is None:
            return weights
        return torch.einsum("br,brhw->bhw", weights[..., 0], density)

    def _context(self, target: str, source: str, name: str) -> Context:
        there = self._contexts(target, source)
        if name not in there:
            names = ", ".join(there) or "no context: it is cut"
            raise InputError(f"the block {block(target, source)} has {names}; {name!r} is not among them")
        context = there[name]
        if type(context).forward is not Context.forward:
            raise InputError(f"the context type {name!r} overrides forward, so its attention maps cannot be read")
        return context

    def _contexts(self, target: str, source: str) -> dict[str, Context]:
        chosen, row = self.chosen(target, source), cast(Any, self._module.blocks[target])
        if isinstance(self._module, Supergraph):
            return dict(row[source].candidates.items())
        return {chosen: row[source]} if source in row else {}
