"""The interface of every strategy, the registry, and the seeds and states of generators. Needs no torch.

- *One-shot* strategies (`strategies.one_shot`) own architecture parameters and a random generator, give a `Selection`
  for every training step of a supernet, and can name their genotype at any time.
- *Multi-trial* strategies (`strategies.multi_trial`) are asked for a genotype and told its score.

A strategy reads (space, history, own generator); files, data and networks live elsewhere. ``state_dict`` is *all*
state: a new object that loads it continues exactly where the old one stood. `strategies.Search` drives both kinds.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from searchspace import Genotype, InputError, Registry, SearchSpace
from searchspace.paths import PathOptions

__all__ = [
    "STRATEGIES",
    "NothingNamed",
    "Strategy",
    "build_strategy",
    "refuse_unsupported",
    "rng_state",
    "set_rng_state",
    "spawn_seed",
]


class NothingNamed(InputError):
    """Error: no genotype can be named yet. The message says what is missing."""


class Strategy(PathOptions, ABC):
    """Base class of all strategies, one-shot and multi-trial.

    Attributes:
        kind: ``"one-shot"`` or ``"multi-trial"``.
        name: The registered name.
        summary: One line for `atrc strategies`.
        paper: The publication of the method, e.g. ``"Liu et al., ICLR 2019"``.
        meets_constraints: Whether it can search a space with constraints between choices.
    """

    kind: ClassVar[str]
    name: ClassVar[str]
    summary: ClassVar[str]
    paper: ClassVar[str]
    meets_constraints: ClassVar[bool] = False

    def __init__(self, space: SearchSpace, *, seed: int = 0) -> None:
        self.space = space
        self.seed = seed

    def supports(self, space: SearchSpace, objectives: Sequence[str] = ("score",)) -> bool:
        """Tells whether the strategy can search a space by these objectives.

        Args:
            space: The space to search.
            objectives: ``("score",)``, or ``("score", "cost")`` if expensive genotypes are penalised.
        """
        return self.meets_constraints or not space.constrained

    @abstractmethod
    def genotype(self) -> Genotype:
        """Returns the genotype that the strategy would name if the search ended now; never a random draw.

        Raises:
            NothingNamed: Nothing can be named yet.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Returns all state: tensors, numbers, strings, and lists and dicts of them.

        It is a snapshot: it does not change when the search goes on or when it is loaded.
        """

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues from `state_dict` of an object built with the same arguments."""


STRATEGIES: Registry[type[Strategy]] = Registry(
    "strategy",
    "atrc.strategies",
    home=("strategies.multi_trial", "strategies.one_shot", "strategies.adapters"),
)


def build_strategy(name: str, space: SearchSpace, *, seed: int, knobs: Mapping[str, Any] | None = None) -> Strategy:
    """Builds a registered strategy for a space.

    Args:
        name: The registered name.
        space: The space to search.
        seed: Seeds everything that the strategy draws.
        knobs: Further arguments of the strategy.

    Raises:
        InputError: The name is unknown, or the strategy has no such knob.
    """
    strategy: Strategy = STRATEGIES.create(name, knobs or {}, space, seed=seed)
    return strategy


def refuse_unsupported(strategy: Strategy, objectives: Sequence[str]) -> None:
    """Raises InputError if a strategy cannot search its space by these objectives; see `Strategy.supports`."""
    if strategy.supports(strategy.space, objectives):
        return
    if strategy.space.constrained and not strategy.meets_constraints:
        able = sorted(name for name, entry in STRATEGIES.items() if entry.meets_constraints)
        raise InputError(
            f"strategy {strategy.name!r} treats choices as independent and cannot search the space "
            f"{strategy.space.name!r}, whose choices depend on one another; these can: {', '.join(able)}"
        )
    lacks = "takes no cost into account" if "cost" in objectives else "has cost as an objective, but no cost is set"
    raise InputError(f"strategy {strategy.name!r} {lacks}")


def spawn_seed(seed: int, *key: int) -> int:
    """Derives a seed for one part of a seeded whole; parts with different keys draw independently."""
    return int(np.random.SeedSequence(seed, spawn_key=key).generate_state(1)[0])


def rng_state(rng: random.Random) -> list[Any]:
    """Returns all state of a generator as plain lists and numbers."""
    version, internal, gauss = rng.getstate()
    return [version, list(internal), gauss]


def set_rng_state(rng: random.Random, state: Sequence[Any]) -> None:
    """Sets a generator to a state that `rng_state` returned."""
    version, internal, gauss = state
    rng.setstate((version, tuple(internal), gauss))
