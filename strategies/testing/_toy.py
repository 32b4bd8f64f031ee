"""A supernet and tables of scores whose best genotype is known beforehand."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from searchspace import Genotype, SearchSpace, Selection, ToySpace
from searchspace.toy import plant_costs
from strategies._categorical import seeded_generator

__all__ = ["DeceptiveTable", "PlantedTable", "ToySupernet", "toy_batch"]


def toy_batch(seed: int, step: int) -> Tensor:
    """Returns a batch: one standard normal number, a ``()`` tensor, which depends on the arguments alone."""
    return torch.randn((), generator=seeded_generator(1_000_003 * seed + step))


class PlantedTable:
    """Scores of independent options, in any space; the best genotype is found by enumeration.

    Args:
        space: Any space that can be enumerated.
        seed: Seeds the costs.

    Attributes:
        optimum: The genotype of the highest score.
    """

    def __init__(self, space: SearchSpace, seed: int = 0) -> None:
        self._costs = plant_costs(space, seed)
        self.optimum = max(space.enumerate(), key=self.score)

    def score(self, genotype: Mapping[str, str]) -> float:
        """Returns minus the summed cost of a genotype; higher is better, at most 0."""
        return -math.fsum(self._costs[choice][option] for choice, option in genotype.items())


class DeceptiveTable:
    """Scores in which following small improvements leads away from the best genotype.

    Every option has a planted cost, so that single changes lead to the cheapest genotype, of score 0. The optimum
    differs from it in every choice and scores 1. Only genotypes one change away from the optimum show it: they score
    about 0.5.

    Args:
        space: Any space without constraints between choices.
        seed: Seeds the costs and the optimum.

    Attributes:
        optimum: The genotype of the highest score.
        trap: The genotype that single changes lead to.
    """

    def __init__(self, space: SearchSpace, seed: int = 0) -> None:
        self.space = space
        self._costs = plant_costs(space, seed)
        self.trap = space.genotype({c: min(space[c], key=self._costs[c].__getitem__) for c in space})
        rng = random.Random(seed)
        others = {c: [o for o in options if o != self.trap[c]] or [self.trap[c]] for c, options in space.items()}
        self.optimum = space.genotype({c: rng.choice(options) for c, options in others.items()})

    def score(self, genotype: Mapping[str, str]) -> float:
        """Returns the score of a genotype; higher is better, at most 1."""
        away = sum(genotype[choice] != self.optimum[choice] for choice in self.space)
        cost = math.fsum(self._costs[choice][option] for choice, option in genotype.items())
        return 1.0 - (0.5 + 0.01 * cost) * away if away <= 1 else -cost


class ToySupernet(nn.Module):
    """A supernet whose best genotype is known: every option has a planted cost.

    The loss is the mean over choices of the weighted sum of the active options' outputs, plus ``(1 - s)^2`` for the
    sum s of the weights: a selection of no weight is no solution, and one whose weights sum to 1 never pays. An
    option's output is its cost plus ``0.01 (w - batch)^2``, with a trainable scalar w: something for an optimiser to
    do, and a little noise. An inactive option is not called.

    Args:
        space: Any space; a `ToySpace` brings its own costs.
        costs: Costs of options, ``{choice: {option: cost}}``; by default drawn by ``seed``, 0 for the best option and
            0.2 to 1 for others.
        seed: Seeds the costs and the initial weights.

    Attributes:
        calls: Number of times that each option was computed, by (choice, option).
        selections: Every selection under which it ran.
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
        self.selections: list[Selection] = []

    @property
    def optimum(self) -> Genotype:
        """Genotype of least cost, among the legal ones if choices depend on one another."""
        if self.space.constrained:
            return min(self.space.enumerate(), key=lambda g: math.fsum(self.costs[c][o] for c, o in g.items()))
        return self.space.genotype({c: min(self.space[c], key=self.costs[c].__getitem__) for c in self.space})

    def outputs(self, options: Sequence[tuple[str, str]], batch: Tensor) -> Tensor:
        """Computes the outputs ``(A,)`` of A (choice, option) pairs, and of no others."""
        self.calls.update(options)
        weights = torch.stack([self.weights[self._index[pair]] for pair in options])
        costs = torch.tensor([self.costs[choice][option] for choice, option in options])
        return costs + 0.01 * (weights - batch) ** 2

    def loss(self, batch: Tensor, selection: Selection) -> Tensor:
        """Returns the scalar loss of one batch.

        Raises:
            InputError: The selection is of another space.
        """
        selection.check(self.space)
        self.selections.append(selection)
        active = [(choice, option) for choice in self.space for option in selection.active(choice)]
        one = torch.ones(())
        shares = {c: torch.stack([one if w is None else w for _, w in selection[c]]) for c in self.space}
        weighted = torch.cat(list(shares.values())) @ self.outputs(active, batch)
        scale = torch.stack([(1.0 - share.sum()) ** 2 for share in shares.values()]).sum()
        return (weighted + scale) / len(self.space)

    def derive(self, genotype: Genotype) -> ToySupernet:
        """Builds a new network with the options of a genotype alone; it runs under ``Selection.of(genotype)``."""
        chosen = self.space.validate(genotype)
        return ToySupernet(SearchSpace(self.space.name, {c: (o,) for c, o in chosen.items()}), self.costs)
