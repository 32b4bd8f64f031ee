"""``search-step``: a whole search step on rendered rooms, and the other work of a search."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from atrc.bench._base import BENCHMARKS, Case, Setting
from atrc.config import Config, load_config
from atrc.machine.files import json_text
from atrc.runs.checkpoint import save_checkpoint
from atrc.setup import Setup
from atrc.training.learner import SearchLearner
from strategies import OneShotStrategy, Search, Trial

__all__ = ["Always", "Never", "TimedSearch", "endless_search", "search_step"]

_SIZES = {
    "rooms4, 96x128, 8 images": ("rooms4", ["dataset.train=64"]),
    "NYUD-v2's size, 425x560, 2 images, HRNet18": (
        "rooms4",
        ["dataset.train=8", "dataset.size=[425,560]", "search.batch_size=2", "backbone.name=hrnet18"],
    ),
}
_QUICK = {"demo, 48x64, 8 images": ("demo", ["dataset.train=8"])}


@BENCHMARKS.register("search-step")
def search_step(setting: Setting) -> Iterator[Case]:
    """Times a whole search step, fused and plain, and with every block fixed; then the other work of a search."""
    for title, (preset, overrides) in (_QUICK if setting.quick else _SIZES).items():
        forms = {
            "ours": [],
            "ours, blocks fixed": ["strategy.freeze_threshold=0"],
            "plain": ["model.fused=false", "model.contexts.local.form=tiled"],
        }
        searches = {
            name: TimedSearch(load_config(preset, [*overrides, *changes]), setting) for name, changes in forms.items()
        }
        yield Case(f"{title}: step", {name: one.step for name, one in searches.items()}, reference="plain")
        search = searches["ours"]
        yield Case(
            f"{title}: beside it",
            {
                "step": search.step,
                "loading a batch": search.load,
                "logging": search.log,
                "a checkpoint": search.checkpoint,
            },
            reference="step",
        )


@dataclass(frozen=True)
class Always:
    """An endless stream of the same batch, for timing."""

    batch: Any

    def iterate(self, start: int = 0) -> Iterator[Any]:
        while True:
            yield self.batch


class TimedSearch:
    """A search whose parts can be called one by one."""

    def __init__(self, config: Config, setting: Setting) -> None:
        setup = Setup.of(config)
        train = setup.split("train")
        setup.fit(train)
        strategy = setup.strategy(0)
        assert isinstance(strategy, OneShotStrategy)
        network = setup.supernet().to(setting.device)
        bfloat16 = config.precision == "bfloat16"
        self._strategy, self._learner = strategy, SearchLearner(network, config.search, bfloat16=bfloat16)
        self._loader = setup.batches(train, config.search, seed=0, device=torch.device("cpu"))
        self.batch = self._loader.batch(0).to(setting.device)
        self._search = endless_search(setup, strategy, self._learner, Always(self.batch), Always(self.batch))
        self._events = iter(self._search)
        self._next = 0
        self._folder = tempfile.TemporaryDirectory()

    def step(self) -> None:
        next(self._events)

    def load(self) -> None:
        self._next += 1
        self._loader.batch(self._next).to(self._learner.device)

    def log(self) -> None:
        with (Path(self._folder.name) / "architecture.jsonl").open("a") as file:
            file.write(json_text(self._strategy.report()))

    def checkpoint(self) -> None:
        save_checkpoint(Path(self._folder.name), {"search": self._search.state_dict()})


def endless_search(
    setup: Setup, strategy: OneShotStrategy, learner: SearchLearner, train: Any, held_out: Any
) -> Search:
    """Returns a search as the setup's config says, with a budget that nobody spends: schedules stay where they begin.

    Args:
        setup: Setup of the config.
        strategy: The strategy.
        learner: The supernet with its optimiser.
        train: Training batches.
        held_out: Held-out batches.
    """
    config = setup.config
    return Search(
        strategy,
        learner.network,
        learner.optimizer,
        train=train,
        held_out=held_out,
        steps=10**9,
        clip_norm=config.search.clip_norm,
        clip=config.search.clip,
        scheduler=learner.schedule,
        autocast=learner.autocast if learner.bfloat16 else None,
        # the second stage is never reached
        score=None if strategy.second_stage() is None else Never(),
        costs=setup.costs(learner.device),
        cost_weight=0.0 if config.cost is None else config.cost.weight,
    )


class Never:
    """Scores no trial."""

    def samples(self, trial: Trial) -> int:
        return 1

    def __call__(self, trial: Trial) -> float:
        raise NotImplementedError
