"""The order of the results of many projections, in which attention reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from atrc.products import multiply, outer

__all__ = ["Rows", "Section"]


@dataclass(frozen=True)
class Rows:
    """The order of a tensor whose first dimension runs over maps, images, and the projections of a map.

    Attributes:
        counts: Number of projections of every map.
        batch: B, the number of images.
    """

    counts: tuple[int, ...]
    batch: int

    @property
    def number(self) -> int:
        """n, the number of projections."""
        return sum(self.counts)

    @cached_property
    def maps(self) -> list[slice]:
        """Maps that are computed together: all if they have equally many projections, otherwise one by one."""
        if len(set(self.counts)) == 1:
            return [slice(0, len(self.counts))]
        return [slice(m, m + 1) for m, count in enumerate(self.counts) if count]

    def blocks(self, x: Tensor) -> list[Tensor]:
        """Returns rows ``(rows, ...)`` as ``(M, B, n, ...)`` for each of `maps`."""
        shapes = [(len(self.counts[maps]), self.batch, self.counts[maps.start]) for maps in self.maps]
        return [
            part.unflatten(0, shape)
            for part, shape in zip(x.split([m * b * n for m, b, n in shapes]), shapes, strict=True)
        ]

    def split(self, x: Tensor) -> list[Tensor]:
        """Returns rows ``(rows, ...)`` as ``(B, n, ...)`` for every map."""
        parts = x.split([self.batch * count for count in self.counts])
        return [part.unflatten(0, (self.batch, count)) for part, count in zip(parts, self.counts, strict=True)]

    def of_projections(self, x: Tensor) -> list[Tensor]:
        """Returns ``(n, ...)`` as ``(M, n, ...)`` for each of `maps`."""
        shapes = [(len(self.counts[maps]), self.counts[maps.start]) for maps in self.maps]
        return [
            part.unflatten(0, shape) for part, shape in zip(x.split([m * n for m, n in shapes]), shapes, strict=True)
        ]

    def summed(self, a: Tensor, b: Tensor) -> Tensor:
        """Multiplies ``(rows, r, P)`` and ``(rows, c, P)``, summed over pixels and images -> ``(n, r, c)``."""
        blocks = zip(self.blocks(a), self.blocks(b), strict=True)
        sums = [outer(left.transpose(1, 2), right.transpose(1, 2)).flatten(0, 1) for left, right in blocks]
        return sums[0] if len(sums) == 1 else torch.cat(sums)

    def applied(
        self, weights: Tensor, x: Tensor, out: Tensor | None = None, *, add: bool = False, relu: bool = False
    ) -> Tensor:
        """Multiplies the weights ``(n, r, c)`` of every projection with its own map ``(rows, c, P)``.

        Args:
            weights: The weights.
            x: The maps.
            out: ``(rows, r, P)``, where the result goes; by default a new tensor.
            add: See `multiply`.
            relu: See `multiply`.

        Returns:
            ``(rows, r, P)``.
        """
        out = x.new_empty(len(x), weights.shape[1], x.shape[2]) if out is None else out
        for w, of, into in zip(self.of_projections(weights), self.blocks(x), self.blocks(out), strict=True):
            multiply(w.unsqueeze(1), of, into, add=add, relu=relu)
        return out


@dataclass(frozen=True)
class Section:
    """Projections of one form, whose results lie in one tensor.

    Attributes:
        projections: For every map its projections: modules ``conv - BN - ReLU``, or ``conv - BN - ReLU - conv - BN``,
            with 1x1 convolutions without bias. All have the same number of channels.
        activation: Activation after projections of the second form, which do not end in one.
    """

    projections: tuple[tuple[nn.Sequential, ...], ...]
    activation: Callable[[Tensor], Tensor]

    @cached_property
    def all(self) -> list[nn.Sequential]:
        """The projections of all maps."""
        return [projection for of_map in self.projections for projection in of_map]

    @property
    def deep(self) -> bool:
        """Whether the projections are of the second form."""
        return len(self.all[0]) > 3

    def rows(self, batch: int) -> Rows:
        """Returns the order of the results."""
        return Rows(tuple(len(of_map) for of_map in self.projections), batch)
