"""Small searches that tests of the driver share."""

from __future__ import annotations

import io
from typing import Any

import torch

from searchspace import SearchSpace, ToySpace
from strategies import (
    Budget,
    MultiTrialStrategy,
    OneShotStrategy,
    Search,
)
from strategies.testing import ToyBatches, ToySupernet

SPACE = ToySpace(choices=4, options=3, seed=0)


def trials(strategy: MultiTrialStrategy, score: Any = None, budget: Budget | None = None, **knobs: Any) -> Search:
    return Search(
        strategy,
        score=score or (lambda trial: SPACE.score(trial.genotype)),
        budget=budget or Budget(trials=20),
        **knobs,
    )


def one_shot(strategy: OneShotStrategy, space: SearchSpace = SPACE, seed: int = 0, **knobs: Any) -> Search:
    supernet = ToySupernet(space, seed=seed)
    given = {"train": ToyBatches(seed), "held_out": ToyBatches(seed, held_out=True), **knobs}
    return Search(strategy, supernet, torch.optim.SGD(supernet.parameters(), lr=0.1, momentum=0.9), **given)


def through_a_file(state: dict[str, Any]) -> Any:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)
