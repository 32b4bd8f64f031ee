"""A step neither copies between the CPU and a GPU nor waits for a value; see `tests.support.card`."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from atrc.bench._base import Setting
from atrc.bench._search_step import TimedSearch
from atrc.config import Config, parse_config
from atrc.data import Batch
from atrc.inference.evaluation import decode_predictions, update_metrics
from atrc.setup import Setup
from atrc.training.learner import WeightLearner
from searchspace import ToySpace, Weighted
from strategies import GumbelEntropy
from tests.support.card import CARD, Watched

pytestmark = pytest.mark.skipif(CARD.type == "cpu", reason="this torch takes no backend in Python")

PEOPLE = """
name: people
dataset: {name: rooms, profile: people, size: [32, 48], train: 12, val: 4}
tasks: {semseg: {}, human_parts: {}, saliency: {}, normals: {centroids: 8}, edge: {thresholds: 5}}
backbone: {name: tiny, width: 0.25}
search: {steps: 8, batch_size: 4, lr: 0.02, clip_norm: 10.0}
train: {steps: 6, batch_size: 4, lr: 0.02, clip_norm: 10.0}
"""


def config(*overrides: str) -> Config:
    return parse_config(PEOPLE, "people", overrides)


def noted(step: Callable[[], object], watched: Watched, warm_up: int = 2) -> dict[str, int]:
    """Returns what a step notes after the first ones, which make tensors that are kept."""
    for _ in range(warm_up):
        step()
    watched.noted.clear()
    step()
    return dict(watched.noted)


@pytest.mark.parametrize(
    ("form", "note"),
    [
        (lambda x, y: x.sum().item(), "read"),
        (lambda x, y: bool((x > 0).all()), "read"),
        (lambda x, y: x.tolist(), "read"),
        (lambda x, y: x[x > 0], "read"),
        (lambda x, y: x.nonzero(), "read"),
        (lambda x, y: x.cpu(), "copy"),
        (lambda x, y: y.to(x), "copy"),
        (lambda x, y: x.new_tensor([1.0]), "copy"),
        (lambda x, y: torch.tensor(1.0, device=x.device), "copy"),
        (lambda x, y: y.copy_(x), "copy"),
        (lambda x, y: x * y.sum(), "mix"),
    ],
)
def test_the_card_notes_what_a_gpu_waits_for(form: Callable[[Tensor, Tensor], Any], note: str) -> None:
    with Watched() as watched:
        x, y = torch.ones(3, device=CARD), torch.ones(3)
        watched.noted.clear()
        form(x, y)
        assert [line.split()[0] for line in watched.noted] == [note]


def test_the_card_computes_and_notes_nothing_else() -> None:
    with Watched() as watched:
        layer = nn.Linear(3, 2).to(CARD)
        x = torch.full((4, 3), 0.5, device=CARD)
        optimizer = torch.optim.AdamW(layer.parameters(), fused=True)
        watched.noted.clear()
        layer(x).square().sum().backward()
        optimizer.step()
        assert not watched.noted
        assert layer.weight.device == CARD


NOTHING: dict[str, int] = {}
ONE = "read _local_scalar_dense.default ()"
ACTIVE = "read tolist (25, 5)"
"""Which options of the 25 choices run. A strategy that draws them from what it learns has to tell the program."""


@pytest.mark.parametrize("strategy", ["gumbel_entropy", "snas", "darts", "drnas", "fair_darts", "mtl_nas", "fixed"])
def test_a_search_step_copies_nothing_and_reads_nothing(strategy: str) -> None:
    knobs = {"fixed": ["strategy.genotype=all-global"]}.get(strategy, [])
    with Watched() as watched:
        search = TimedSearch(config(f"strategy.name={strategy}", *knobs), Setting(CARD))
        assert noted(search.step, watched) == NOTHING


@pytest.mark.parametrize(
    ("strategy", "reads"),
    [
        ("spos", {}),
        ("dsnas", {ACTIVE: 1}),
        ("gdas", {ACTIVE: 2}),  # once for the weights, once for the architecture
        ("proxyless", {ACTIVE: 2}),
        ("enas", {ONE: 1}),  # the reward
        ("darts_second", {ONE: 1}),  # the norm of a gradient
    ],
)
def test_other_strategies_read_what_they_must(strategy: str, reads: dict[str, int]) -> None:
    with Watched() as watched:
        search = TimedSearch(config(f"strategy.name={strategy}"), Setting(CARD))
        found = noted(search.step, watched)
    # Other options run in every step, so their order goes to the card; the program need not wait for that.
    found.pop("copy tensor", None)
    assert found == reads


def test_a_step_that_is_charged_computed_again_and_branched_reads_nothing() -> None:
    for overrides in (
        ["cost={weight: 0.1}"],
        ["model.checkpoint=true"],
        ["model.fused=false"],
        ["space.name=bmtas"],
    ):
        with Watched() as watched:
            search = TimedSearch(config("strategy.name=gumbel_entropy", *overrides), Setting(CARD))
            assert noted(search.step, watched) == NOTHING, overrides


@pytest.mark.parametrize("model", ["multi", "genotype", "cross_stitch", "pap", "psd", "pad_a", "pad_b", "pad_c"])
def test_a_training_step_copies_nothing_and_reads_nothing(model: str) -> None:
    setup = prepared()
    with Watched() as watched:
        learner, batch = learner_of(setup, model, CARD)
        assert noted(lambda: learner.step(batch, 0), watched) == NOTHING


def test_a_step_on_the_card_is_a_step_on_the_cpu() -> None:
    setup = prepared()
    losses = []
    for device in (torch.device("cpu"), CARD):
        with Watched():
            learner, batch = learner_of(setup, "genotype", device)
            losses.append([float(learner.step(batch, step)["loss"]) for step in range(3)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert losses[0][0] != losses[0][2]


@pytest.mark.parametrize("padded", [False, True])
def test_metrics_count_on_the_card_and_only_boundaries_leave_it(padded: bool) -> None:
    setup = prepared()
    learner, batch = learner_of(setup, "multi", torch.device("cpu"))
    if padded:
        valid = batch.valid.clone()
        valid[:2, :, :, -8:] = False
        batch = Batch(batch.image, batch.labels, valid, batch.ids)
    with torch.no_grad():
        decoded = decode_predictions(learner.predictor()(batch), setup.tasks, batch.label_size)
    with Watched() as watched:
        maps = [{name: x.to(CARD) for name, x in of.items()} for of in (decoded, batch.labels)]
        noted_by = {}
        for name, task in setup.tasks.items():
            metric = task.metric().to(CARD)
            watched.noted.clear()
            update_metrics({name: metric}, *maps, batch.valid)
            noted_by[name] = {line.split()[0] for line in watched.noted}
    assert noted_by == {name: {"copy"} if name == "edge" else set() for name in setup.tasks}


def test_a_batch_looks_for_padding_once() -> None:
    setup = prepared()
    _, batch = learner_of(setup, "multi", torch.device("cpu"))
    assert batch.mask is None
    valid = batch.valid.clone()
    valid[1, 0, 3, 4] = False
    batch = Batch(batch.image, batch.labels, valid, batch.ids)
    with Watched() as watched:
        moved = batch.to(CARD)
        watched.noted.clear()
        assert moved.mask is moved.valid
        assert not watched.noted


def test_a_search_goes_on_on_another_device() -> None:
    space = ToySpace(choices=3, options=3, seed=0)
    one, other = (GumbelEntropy(space, seed=seed) for seed in (0, 1))
    with torch.no_grad():
        one.distribution.logits[1, 2] = 3.0
    one.update()
    with Watched():
        one.to(CARD)
        assert {x.device for x in (one.distribution.logits, one.distribution.mask, one.frozen)} == {CARD}
        assert one.optimizer.param_groups[0]["params"] == one.parameters()
        assert one.genotype() == space.decode([0, 2, 0])
        state = tree_map(lambda x: x.cpu() if isinstance(x, Tensor) else x, one.state_dict())
    other.load_state_dict(state)
    assert other.genotype() == space.decode([0, 2, 0])
    frozen = [*space][1]
    assert other.report()["frozen"] == [frozen]
    assert other.select().options[frozen] == (Weighted(space[frozen][2], None),)


def prepared() -> Setup:
    setup = Setup.of(config())
    setup.fit(setup.split("train"))
    return setup


def learner_of(setup: Setup, model: str, device: torch.device) -> tuple[WeightLearner, Batch]:
    genotype = setup.space.sample(random.Random(0)) if model == "genotype" else None
    torch.manual_seed(0)
    learner = WeightLearner(setup.network(model, genotype).to(device), setup.config.train)
    train = setup.split("train")
    batch = setup.batches(train, setup.config.train, seed=0, device=torch.device("cpu")).batch(0)
    return learner, batch.to(device)
