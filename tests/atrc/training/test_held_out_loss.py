"""The held-out loss of scorers: which images it is taken on, and that it does not depend on batches."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from atrc.config import Config
from atrc.data import (
    Batch,
    Dataset,
    DatasetInfo,
    Sample,
)
from atrc.machine.stopping import Interrupted, Stop
from atrc.networks import Predictions
from atrc.setup import Setup
from atrc.tasks import IGNORE, TASKS
from atrc.training.scoring import Scoring

CPU = torch.device("cpu")

N, SIDE = 20, 16


class Sparse(Dataset):
    """Images of class 0 everywhere, labelled more or less densely, image 0 and every third not at all."""

    info = DatasetInfo("sparse", {"semseg": {"classes": 3}}, (SIDE, SIDE), Path("nowhere"))
    skipped = {}  # noqa: RUF012

    @classmethod
    def describe(cls, **options: Any) -> DatasetInfo:
        return cls.info

    def __len__(self) -> int:
        return N

    def __getitem__(self, index: int) -> Sample:
        label = np.full((SIDE, SIDE), IGNORE, np.uint8)
        label.flat[: self.labelled(index)] = 0
        return Sample(str(index), np.zeros((SIDE, SIDE, 3), np.uint8), {"semseg": label})

    @staticmethod
    def labelled(index: int) -> int:
        return 0 if index % 3 == 0 else index**2 % 200 + 1


class Looks:
    """Predictions that are worse for later images; remembers the images."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    @staticmethod
    def wrong(index: int) -> float:
        return 0.1 * index

    def __call__(self, batch: Batch) -> Predictions:
        self.ids += batch.ids
        logits = torch.zeros(len(batch), 3, SIDE, SIDE)
        logits[:, 1] = torch.tensor([self.wrong(int(index)) for index in batch.ids])[:, None, None]
        return Predictions({"semseg": logits}, {})

    @classmethod
    def loss(cls, index: int) -> float:
        """Cross entropy of logits 0, w, 0 at class 0; 0 where nothing is labelled."""
        return math.log(2 + math.exp(cls.wrong(index))) if Sparse.labelled(index) else 0.0


def sparse(config: Config, evaluate_batch: int = 8, images: int | None = None, seed: int = 0) -> Scoring:
    trials = config.trials.model_copy(update={"images": images})
    config = config.model_copy(update={"evaluate_batch": evaluate_batch, "trials": trials})
    setup = Setup.of(config)
    setup.tasks = {"semseg": TASKS.create("semseg", {"classes": 3})}
    return Scoring(setup, seed, CPU, Sparse(), Sparse(), Stop())


@pytest.mark.parametrize("evaluate_batch", [1, 3, 8, 64])
def test_the_held_out_loss_is_the_mean_of_the_images_losses(config: Config, evaluate_batch: int) -> None:
    loss = sparse(config, evaluate_batch).held_out_loss(Looks())
    assert loss == pytest.approx(sum(map(Looks.loss, range(N))) / N, rel=1e-6)


@pytest.mark.parametrize("evaluate_batch", [1, 3, 8, 64])
@pytest.mark.parametrize(("images", "number"), [(1, 1), (7, 7), (N, N), (500, N), (None, N)])
def test_a_score_looks_at_exactly_that_many_images(
    config: Config, evaluate_batch: int, images: int | None, number: int
) -> None:
    given, looks = sparse(config, evaluate_batch, images), Looks()
    loss = given.held_out_loss(looks)
    assert len(set(looks.ids)) == len(looks.ids) == given.images == number
    order = [int(index) for index in looks.ids]
    assert order == sorted(order)
    assert loss == pytest.approx(sum(map(Looks.loss, order)) / number, rel=1e-6)


def test_held_out_images_are_drawn_by_the_seed_from_all(config: Config) -> None:
    def drawn(seed: int, evaluate_batch: int) -> list[str]:
        batches = sparse(config, evaluate_batch, 7, seed).held_out_batches()
        return [index for batch in batches for index in batch.ids]

    assert drawn(3, 2) == drawn(3, 5)
    draws = {tuple(drawn(seed, 8)) for seed in range(30)}
    assert len(draws) == 30
    assert {int(index) for draw in draws for index in draw} == set(range(N))


def test_every_part_of_the_loss_is_cut_into_images(config: Config) -> None:
    """A region map and initial predictions of two scales, which the total loss adds up."""

    def predict(batch: Batch) -> Predictions:
        logits = Looks()(batch).final["semseg"]
        return Predictions({"semseg": logits}, {"semseg": logits}, {"semseg": [logits, logits[:, :, ::2, ::2]]})

    loss = sparse(config, 8).held_out_loss(predict)
    assert loss == pytest.approx(4 * sum(map(Looks.loss, range(N))) / N, rel=1e-6)


def test_a_stop_is_seen_before_the_next_images(config: Config) -> None:
    given, looks = sparse(config, 8), Looks()
    given.stop.requested = True
    with pytest.raises(Interrupted):
        given.held_out_loss(looks)
    assert looks.ids == []
