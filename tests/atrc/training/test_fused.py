"""A search with fused execution against the same search, plainly executed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest
import torch

from atrc.config import Config
from atrc.data import Batch, BatchLoader, eval_transform
from atrc.experiments import create_search
from atrc.setup import Setup
from atrc.training import execute
from atrc.training.learner import SearchLearner
from strategies import GumbelEntropy, Search

T = TypeVar("T")


def doubled(value: T) -> T:
    return value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value


@dataclasses.dataclass
class Batches:
    """Batches of a loader in double precision."""

    loader: BatchLoader

    def iterate(self, start: int = 0) -> Iterator[Batch]:
        for single in self.loader.iterate(start):
            labels = {task: doubled(label) for task, label in single.labels.items()}
            yield dataclasses.replace(single, image=single.image.double(), labels=labels)


def search(config: Config, *, fused: bool) -> tuple[Search, GumbelEntropy]:
    """Everything in double precision: in single precision a training multiplies rounding until nothing agrees."""
    model = config.model.model_copy(
        update={"fused": fused, "contexts": {"local": {"form": "auto" if fused else "tiled"}}}
    )
    config = config.model_copy(update={"model": model})
    torch.manual_seed(0)
    setup = Setup.of(config)
    network = setup.supernet().double()
    strategy = GumbelEntropy(setup.space, lr=0.05)
    strategy.distribution.logits.data = strategy.distribution.logits.data.double()
    learner = SearchLearner(network, config.search)
    train = setup.split("train")
    setup.fit(train)
    loader = BatchLoader(train, learner.tasks, eval_transform(train.info.size), batch_size=4, seed=0)
    training = config.search
    made = Search(
        strategy,
        network,
        learner.optimizer,
        train=Batches(loader),
        steps=training.steps,
        clip_norm=training.clip_norm,
        scheduler=learner.schedule,
    )
    return made, strategy


@pytest.mark.parametrize(("steps", "tolerance"), [(8, 1e-10), pytest.param(120, 1e-3, marks=pytest.mark.slow)])
def test_a_seeded_search_is_the_same(config: Config, steps: int, tolerance: float) -> None:
    """Loss curve, architecture logits, and the genotype; after some 130 steps rounding has grown to a thousandth."""
    training = config.search.model_copy(update={"steps": steps, "lr": 0.005})
    config = config.model_copy(update={"search": training})
    (fused, fused_strategy), (plain, plain_strategy) = (search(config, fused=fused) for fused in (True, False))
    losses = [[float(event.loss) for event in one if event.kind == "step"] for one in (fused, plain)]
    assert len(losses[0]) == steps
    assert losses[0] == pytest.approx(losses[1], rel=tolerance)
    torch.testing.assert_close(
        fused_strategy.distribution.logits, plain_strategy.distribution.logits, rtol=0, atol=100 * tolerance
    )
    assert fused_strategy.genotype() == plain_strategy.genotype()


def test_a_search_in_mixed_precision_runs(config: Config, tmp_path: Path) -> None:
    (run,) = create_search(config.model_copy(update={"precision": "bfloat16"}), tmp_path / "search")
    execute(run, quiet=True)
    assert all(math.isfinite(line["loss"]) for line in run.lines("metrics.jsonl"))
    assert run.genotype() is not None
