"""Searches on one batch, as a run makes them, for the timed step and for the tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from atrc.bench._search_step import Always, endless_search
from atrc.config import Config
from atrc.data import DATASETS, Batch
from atrc.setup import Setup
from atrc.training.learner import SearchLearner
from strategies import OneShotStrategy, Search

__all__ = ["rooms_of", "search_of", "steps_of"]


def rooms_of(setup: Setup, images: int) -> Any:
    """Returns rendered rooms with the size and the tasks of a config's dataset, to which the tasks are fitted."""
    height, width = setup.info.size
    rooms = DATASETS.create("rooms", {"size": (height, width), "train": images, "val": 1}, "train", list(setup.tasks))
    setup.fit(rooms)
    return rooms


def search_of(config: Config, device: torch.device) -> tuple[Search, Batch]:
    """Returns a one-shot search of a config on rooms, with random weights, and its only batch."""
    setup = Setup.of(config)
    rooms = rooms_of(setup, config.search.batch_size)
    torch.manual_seed(0)
    strategy = setup.strategy(0)
    assert isinstance(strategy, OneShotStrategy)
    supernet = setup.supernet(pretrained=False).to(device)
    bfloat16 = config.precision == "bfloat16"
    learner = SearchLearner(supernet, config.search, bfloat16=bfloat16)
    batch = setup.batches(rooms, config.search, seed=0, device=device).batch(0).to(device)
    search = endless_search(setup, strategy, learner, Always(batch), Always(batch))
    return search, batch


def steps_of(search: Search) -> Iterator[torch.Tensor]:
    """Yields the loss of one step after the other; it is not read from the device."""
    for event in search:
        if event.kind == "step":
            yield event.loss
