"""What a search is about, apart from its strategy: a network and data of one's own, without config and files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from searchspace import InputError, Supernet
from strategies import OneShotStrategy, Search, build_strategy

__all__ = ["Problem"]


def _adam(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=1e-3)


@dataclass(frozen=True)
class Problem:
    """One's own supernet and loaders, on which any one-shot strategy can be tried by its name.

    Every search begins with a new supernet, initialised by the search's seed, so that strategies and seeds can be
    compared.

    Attributes:
        supernet: Makes a new supernet: a torch module with ``space``, ``loss(batch, selection)`` and
            ``derive(genotype)``.
        train: Training batches: a ``DataLoader``, or anything that `strategies.Search` takes.
        held_out: Batches that the weights never learn from, for strategies that need them.
        optimizer: Makes the optimiser of the supernet's weights; by default Adam with a learning rate of 0.001.

    Example::

        problem = Problem(MyNetwork, DataLoader(train), DataLoader(held_out))
        for name in ("gumbel_entropy", "darts", "spos"):
            search = problem.search(name, steps=1000, seed=0)
            print(name, search.run(), search.samples, search.seconds)
    """

    supernet: Callable[[], Supernet[Any]]
    train: Any
    held_out: Any = None
    optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer] = _adam

    def search(
        self, strategy: str, *, seed: int = 0, knobs: Mapping[str, Any] | None = None, **options: Any
    ) -> Search:
        """A new search.

        Args:
            strategy: Name of a registered one-shot strategy.
            seed: Seeds the strategy, the order of data, and the initial weights.
            knobs: Knobs of the strategy.
            options: Arguments of `strategies.Search`: ``steps`` or ``budget``, ``clip_norm``, ``costs``, ...

        Raises:
            InputError: No such strategy, a strategy by trials, or arguments that do not go together.
        """
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            supernet: Any = self.supernet()
        made = build_strategy(strategy, supernet.space, seed=seed, knobs=knobs)
        if not isinstance(made, OneShotStrategy):
            raise InputError(
                f"strategy {strategy!r} is multi-trial: it has no supernet; give it a score with strategies.Search"
            )
        optimizer = self.optimizer(supernet.parameters())
        return Search(made, supernet, optimizer, train=self.train, held_out=self.held_out, **options)
