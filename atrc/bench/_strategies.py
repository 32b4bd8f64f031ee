"""``strategies``: times search steps of one-shot strategies, the strategies' own work, and multi-trial strategies."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn

from atrc.bench._base import BENCHMARKS, Case, Setting
from atrc.bench._search_step import Always, Never, TimedSearch
from atrc.config import Config, load_config
from atrc.setup import Setup
from atrc.training.learner import WeightLearner
from searchspace import SearchSpace, Selection, ToySpace
from strategies import STRATEGIES, Budget, MultiTrialStrategy, OneShotStrategy, Search, build_strategy

__all__ = ["strategies"]

TRIALS = 2000
NOT_MEASURED = {"fixed"}


@BENCHMARKS.register("strategies")
def strategies(setting: Setting) -> Iterator[Case]:
    """Times a search step of every one-shot strategy and a step of plain multi-task training; then their own work."""
    preset, overrides = ("demo", ["dataset.train=16"]) if setting.quick else ("rooms4", ["dataset.train=64"])
    names = [n for n, s in STRATEGIES.items() if issubclass(s, OneShotStrategy) and n not in NOT_MEASURED]
    searches = {
        name: TimedSearch(load_config(preset, [*overrides, f"strategy={{name: {name}}}"]), setting)
        for name in sorted(names)
    }
    config = load_config(preset, overrides)
    plain = _plain_training(config, setting)
    batch = next(iter(searches.values())).batch
    yield Case(
        "a step on rooms",
        {name: search.step for name, search in searches.items()} | {"plain training": partial(plain.step, batch, 0)},
        reference="plain training",
    )
    space = Setup.of(config).space
    yield Case(
        "the strategy's own work in a step",
        {name: _OwnWork(name, space).step for name in sorted(names)}
        | {"plain training": partial(plain.step, batch, 0)},
        reference="plain training",
    )
    yield Case(
        f"{TRIALS} trials asked and told",
        {name: partial(_ask_and_tell, name) for name in ("evolution", "random")},
        reference="random",
    )


def _plain_training(config: Config, setting: Setting) -> WeightLearner:
    return WeightLearner(Setup.of(config).network("multi", None).to(setting.device), config.train)


class _Nothing(nn.Module):
    """A supernet that computes only the sum of the weights of the selection."""

    def __init__(self, space: SearchSpace) -> None:
        super().__init__()
        self.space = space
        self.weight = nn.Parameter(torch.zeros(()))

    def loss(self, _: int, selection: Selection) -> Tensor:
        given = [weight for active in selection.options.values() for _, weight in active if weight is not None]
        return torch.stack([self.weight, *given]).sum()

    def derive(self, genotype: object) -> None:
        raise NotImplementedError


class _OwnWork:
    """Search steps that consist of the strategy's own work only."""

    def __init__(self, name: str, space: SearchSpace) -> None:
        strategy = build_strategy(name, space, seed=0)
        assert isinstance(strategy, OneShotStrategy)
        supernet = _Nothing(space)
        search = Search(
            strategy,
            supernet,
            torch.optim.SGD(supernet.parameters(), lr=0.0),
            train=Always(0),
            held_out=Always(0),
            steps=10**9,
            score=None if strategy.second_stage() is None else Never(),
            count=lambda _: 1,
        )
        self._events = iter(search)

    def step(self) -> None:
        next(self._events)


def _ask_and_tell(name: str) -> None:
    space = ToySpace(choices=16, options=5)
    strategy = build_strategy(name, space, seed=0)
    assert isinstance(strategy, MultiTrialStrategy)
    Search(strategy, score=lambda trial: space.score(trial.genotype), budget=Budget(trials=TRIALS)).run()
