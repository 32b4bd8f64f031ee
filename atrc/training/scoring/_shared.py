"""What the trials of a search have in common, and is made once: batches, and the features before the selection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from atrc.data import Batch
from atrc.networks import Trunk

__all__ = ["MOST_KEPT", "KeptBatches", "SharedTrunk"]

MOST_KEPT = 256 * 2**20
"""Largest number of bytes that are kept of batches of one kind, or of features. Each trial makes what is larger."""


class KeptBatches:
    """Batches that are the same in every trial. They are made when they are first asked for.

    Args:
        make: Function that makes them, on their device.
        images: Number of their images.

    Attributes:
        fit: Whether they are kept; False until the first is there.
    """

    def __init__(self, make: Callable[[], Iterable[Batch]], images: int) -> None:
        self.fit = False
        self._make, self._images = make, images
        self._made: list[Batch] | None = None

    def __iter__(self) -> Iterator[Batch]:
        if self._made is not None:
            yield from self._made
            return
        made: list[Batch] = []
        for batch in self._make():
            self.fit = _fits([batch.image, batch.valid, *batch.labels.values()], len(batch), self._images)
            if self.fit:
                made.append(batch)
            yield batch
        self._made = made if self.fit else None


class SharedTrunk:
    """The features of a supernet before the selection, computed once for kept batches as long as the weights stay.

    They are ``network.encode(image)``. A supernet that searches its encoder gives it the selection as well; then
    nothing is kept. Scores are the same to the bit.

    Args:
        network: The supernet.
        images: Number of images whose features are to be kept.
    """

    def __init__(self, network: Any, images: int) -> None:
        self._network, self._images = network, images
        parts = (network.backbone, network.neck, network.heads, network.auxiliary)
        modules = [module for part in parts if part is not None for module in part.modules()]
        norms = [module for module in modules if isinstance(module, nn.modules.batchnorm._BatchNorm)]
        self._buffers = [buffer for norm in norms for buffer in norm.buffers()]
        self._counts = [norm.num_batches_tracked for norm in norms if norm.num_batches_tracked is not None]
        self._parameters = list(network.parameters())
        self._works = type(network).encode is Trunk.encode
        self._features: dict[int, tuple[Tensor, Any]] = {}
        self._statistics: list[Tensor] | None = None
        self._weights: list[tuple[int, int]] = []

    @torch.no_grad()
    def recalibrate(self, batches: KeptBatches, run: Callable[[], None]) -> None:
        """Takes the batch-norm statistics of a genotype anew.

        Args:
            batches: The training images.
            run: Function that does so, by passing all batches through the network. Norms that see nothing get their
                initial statistics.
        """
        weights = [(weight.data_ptr(), weight._version) for weight in self._parameters]
        if weights != self._weights or not batches.fit:
            self._forget()
            self._weights = weights
        known = self._statistics
        with self.remembered(batches):
            run()
        if not self._works:
            return
        if known is None:
            self._statistics = [buffer.clone() for buffer in self._buffers]
        elif any(int(count) for count in self._counts):  # the network uses its trunk in another way, too
            self._stop()
            run()
        elif self._buffers:
            torch._foreach_copy_(self._buffers, known)

    @contextmanager
    def remembered(self, batches: KeptBatches) -> Iterator[None]:
        """In the block, the network does not compute the features of a batch for a second time."""
        if not self._works:
            yield
            return
        compute: Any = self._network.encode

        def encode(image: Tensor, selection: Any = None) -> Any:
            if selection is not None:
                self._stop()
                return compute(image, selection)
            if id(image) in self._features:
                return self._features[id(image)][1]
            encoded = compute(image)
            if not _fits(
                [leaf for leaf in tree_leaves(encoded) if isinstance(leaf, Tensor)], len(image), self._images
            ):
                self._stop()
            if self._works and batches.fit:
                self._features[id(image)] = image, encoded  # the image, so that no other one gets its id
            return encoded

        self._network.encode = encode
        try:
            yield
        finally:
            del self._network.encode

    def _stop(self) -> None:
        """Remembers nothing from now on."""
        self._works = False
        self._forget()

    def _forget(self) -> None:
        self._features.clear()
        self._statistics = None


def _fits(tensors: Iterable[Tensor], images: int, of: int) -> bool:
    """Returns whether the tensors of all images may be kept, given those of a part of them."""
    return sum(tensor.nbytes for tensor in tensors) * of <= MOST_KEPT * images
