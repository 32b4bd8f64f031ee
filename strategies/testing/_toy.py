"""A supernet whose best genotype is known beforehand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from searchspace import Genotype, SearchSpace, Selection, ToySpace, plant_costs
from strategies._base import seeded_generator

__all__ = ["ToySupernet", "toy_batch"]


def toy_batch(seed: int, step: int) -> Tensor:
    """A batch: one standard normal number, a ``()`` tensor, that depends on nothing but the arguments."""
    return torch.randn((), generator=seeded_generator(1_000_003 * seed + step))


class ToySupernet(nn.Module):
    """A supernet whose best genotype is known: every option has a planted cost.

    The loss is the mean over choices of the weighted sum of the active options' outputs. An option's output is its
    cost plus ``0.01 (w - batch)^2``, with a trainable scalar w: something for an optimiser to do, and a little
    noise. An inactive option is not called.

    Args:
        space: Any space; a `ToySpace` brings its own costs.
        costs: Choice -> option -> cost; by default drawn by ``seed``, 0 for the best option and 0.2 to 1 for others.
        seed: Draws the costs and the initial weights.

    Attributes:
        calls: (choice, option) -> how often that option was computed.
        selection: The latest selection.
    """

    def __init__(
        self, space: SearchSpace, costs: Mapping[str, Mapping[str, float]] | None = None, *, seed: int = 0
    ) -> None:
        super().__init__()
        self.space = space
        if costs is None:
            costs = space.costs if isinstance(space, ToySpace) else plant_costs(space, seed)
        self.costs = costs
        generator = seeded_generator(seed)
        self._index = {(c, o): i for i, (c, o) in enumerate((c, o) for c in space for o in space[c])}
        # One parameter per option, so that an option that was not called has no gradient.
        self.weights = nn.ParameterList(torch.randn((), generator=generator) for _ in self._index)
        self.calls: Counter[tuple[str, str]] = Counter()
        self.selection: Selection | None = None

    @property
    def optimum(self) -> Genotype:
        """The genotype of least cost."""
        return self.space.genotype({c: min(self.space[c], key=self.costs[c].__getitem__) for c in self.space})

    def outputs(self, options: Sequence[tuple[str, str]], batch: Tensor) -> Tensor:
        """``(A,)`` outputs of A (choice, option) pairs, and of nothing else."""
        self.calls.update(options)
        weights = torch.stack([self.weights[self._index[pair]] for pair in options])
        costs = torch.tensor([self.costs[choice][option] for choice, option in options])
        return costs + 0.01 * (weights - batch) ** 2

    def loss(self, batch: Tensor, selection: Selection) -> Tensor:
        """Scalar loss of one batch.

        Raises:
            InputError: The selection is not of this space.
        """
        selection.check(self.space)
        self.selection = selection
        active = [(choice, option) for choice in self.space for option in selection.active(choice)]
        one = torch.ones(())
        shares = [one if weight is None else weight for choice in self.space for _, weight in selection[choice]]
        return torch.stack(shares) @ self.outputs(active, batch) / len(self.space)

    def derive(self, genotype: Genotype) -> ToySupernet:
        """A fresh network that holds only what the genotype chose; it runs under ``Selection.of(genotype)``."""
        chosen = self.space.validate(genotype)
        return ToySupernet(SearchSpace(self.space.name, {c: (o,) for c, o in chosen.items()}), self.costs)
