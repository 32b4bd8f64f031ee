"""A search problem in code: your own network and data, without a config and without files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from searchspace import InputError, Supernet
from strategies import OneShotStrategy, Search, build_strategy
from strategies._optimizers import eager

__all__ = ["Problem"]


def _adam(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    return eager(torch.optim.Adam)(parameters, lr=1e-3)


@dataclass(frozen=True)
class Problem:
    """Your own supernet and loaders, on which any one-shot strategy can be run by its name.

    Every search begins with a new supernet, whose weights follow from the search's seed. So strategies and seeds can
    be compared.

    Attributes:
        supernet: Function that returns a new supernet: a torch module with ``space``, ``loss(batch, selection)`` and
            ``derive(genotype)``.
        train: Training batches: a ``DataLoader``, or anything that `strategies.Search` takes.
        held_out: Batches that the weights never learn from, for strategies that need them.
        optimizer: Function that returns the optimiser of given weights; default: Adam with a learning rate of 0.001.

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
        """Returns a new search.

        Args:
            strategy: Name of a registered one-shot strategy.
            seed: Seed of the strategy, of the order of data, and of the initial weights.
            knobs: Knobs of the strategy.
            options: Arguments of `strategies.Search`: ``steps`` or ``budget``, ``clip_norm``, ``costs``, ...

        Raises:
            InputError: The strategy does not exist or is multi-trial, or the arguments do not go together.
        """
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            supernet: Any = self.supernet()
        made = build_strategy(strategy, supernet.space, seed=seed, knobs=knobs)
        if not isinstance(made, OneShotStrategy):
            raise InputError(
                f"strategy {strategy!r} is multi-trial and uses no supernet; give it a score with strategies.Search"
            )
        optimizer = self.optimizer(supernet.parameters())
        return Search(made, supernet, optimizer, train=self.train, held_out=self.held_out, **options)
