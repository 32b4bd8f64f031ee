"""The driver and its data: batches, held-out images, refusals, and the paper's step."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from toy_searches import SPACE, one_shot, through_a_file, trials

from searchspace import InputError, SearchSpace, Selection, ToySpace, Weighted
from strategies import (
    DARTS,
    SPOS,
    Budget,
    Event,
    GumbelEntropy,
    RandomSearch,
    Search,
    gumbel_softmax,
)
from strategies.testing import SparseSpace, ToyBatches, ToySupernet, check_same_state

# -- data ------------------------------------------------------------------------------------------------------------


class Linear(nn.Module):
    """A supernet on pairs of numbers, with a batch norm and dropout."""

    def __init__(self, space: SearchSpace = SPACE) -> None:
        super().__init__()
        self.space = space
        self.layers = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 1))
        self.batches: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.under_autocast = torch.is_autocast_enabled("cpu")
        out: Tensor = self.layers(x)
        return out

    def loss(self, batch: tuple[Tensor, ...], selection: Selection) -> Tensor:
        self.batches.append(batch[0])
        out = self(batch[0])
        assert not torch.is_autocast_enabled("cpu")
        shares = [torch.ones(()) if w is None else w for active in selection.options.values() for _, w in active]
        return out.float().square().mean() * torch.stack(shares).square().sum()

    def derive(self, genotype: object) -> None:
        raise NotImplementedError


def loader(seed: int, own: bool) -> DataLoader[Any]:
    data = TensorDataset(torch.randn(12, 2, generator=torch.Generator().manual_seed(seed)))
    generator = torch.Generator().manual_seed(seed) if own else None
    return DataLoader(data, batch_size=4, shuffle=True, generator=generator)


def linear_search(own: bool, steps: int = 8, **knobs: Any) -> Search:
    torch.manual_seed(0)
    supernet = Linear()
    optimizer = torch.optim.Adam(supernet.parameters(), 0.01)
    strategy = DARTS(SPACE, lr=0.05)
    return Search(
        strategy,
        supernet,
        optimizer,
        train=loader(1, own),
        held_out=loader(2, own),
        steps=steps,
        clip_norm=1.0,
        **knobs,
    )


@pytest.mark.parametrize("own", [True, False], ids=["loaders with generators", "loaders without"])
@pytest.mark.parametrize("cut", [1, 4, 6])
def test_a_search_on_data_loaders_resumes_to_the_same_bits(own: bool, cut: int) -> None:
    whole = linear_search(own)
    whole.run()
    stopped = linear_search(own)
    events = iter(stopped)
    for _ in range(cut):
        next(events)
    saved = through_a_file(stopped.state_dict())
    resumed = linear_search(own)
    torch.manual_seed(99)
    resumed.load_state_dict(saved)
    resumed.run()
    states = [search.state_dict() for search in (whole, resumed)]
    for state in states:
        state["spent"]["seconds"] = 0.0
    check_same_state(*states)  # type: ignore[arg-type]


def test_the_order_of_data_does_not_depend_on_what_else_is_drawn() -> None:
    plain, disturbed = linear_search(own=False), linear_search(own=False)
    plain.run()
    for _ in disturbed:
        torch.rand(3)
    one, other = (search.supernet.batches for search in (plain, disturbed))  # type: ignore[union-attr]
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_second_stage_draws_nothing_from_the_global_generator() -> None:
    """Its images are drawn by loaders that shuffle; they are 12 of each kind, one epoch, since there are no more."""
    torch.manual_seed(0)
    supernet = Linear()
    before = torch.get_rng_state()
    strategy = SPOS(SPACE, final_trials=3)
    optimizer = torch.optim.Adam(supernet.parameters(), 0.01)
    search = Search(strategy, supernet, optimizer, train=loader(1, False), held_out=loader(2, False), steps=30)
    assert torch.equal(torch.get_rng_state(), before)
    told = [event for event in search if event.kind == "told"]
    assert {event.samples for event in told if not event.repeated} == {12 + 12}


def test_autocast_covers_forward_passes_alone() -> None:
    search = linear_search(own=False, steps=2, autocast=torch.autocast("cpu", dtype=torch.bfloat16))
    search.run()  # its loss asserts that it runs without
    assert search.supernet.under_autocast  # type: ignore[union-attr]
    assert not torch.is_autocast_enabled("cpu")


def test_a_scheduler_of_torch_is_stepped_and_saved() -> None:
    def make() -> Search:
        supernet = ToySupernet(SPACE)
        optimizer = torch.optim.SGD(supernet.parameters(), lr=1.0)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        return Search(GumbelEntropy(SPACE), supernet, optimizer, train=ToyBatches(0), steps=4, scheduler=schedule)

    search = make()
    events = iter(search)
    for _ in range(3):
        next(events)
    resumed = make()
    resumed.load_state_dict(through_a_file(search.state_dict()))
    resumed.run()
    assert resumed.state_dict()["training"]["optimizer"]["param_groups"][0]["lr"] == pytest.approx(0.5**4)


def test_data_that_ends_is_named() -> None:
    with pytest.raises(InputError, match="train has no batch left"):
        one_shot(GumbelEntropy(SPACE), train=iter([torch.zeros(())] * 3), steps=5).run()


# -- what is refused when a search is built --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: one_shot(DARTS(SparseSpace()), SparseSpace(), steps=3), "'darts' treats choices as independent"),
        (lambda: one_shot(DARTS(SPACE), held_out=None, steps=3), "'darts' is bi-level: give held_out="),
        (lambda: one_shot(SPOS(SPACE), held_out=None, steps=3), "'spos' scores genotypes on held-out batches"),
        (lambda: one_shot(DARTS(SPACE)), "give steps=, or a budget of samples or seconds"),
        (lambda: one_shot(DARTS(SPACE), budget=Budget(trials=3)), "give steps=, or a budget of samples or seconds"),
        (lambda: one_shot(DARTS(SPACE), steps=3, score=lambda trial: 0.0), "has no second stage"),
        (lambda: one_shot(DARTS(SPACE), steps=3, clip="all"), "clip must be one of joint, weights, got 'all'"),
        (lambda: one_shot(DARTS(ToySpace(2, 2)), steps=3), "the supernet has the space .*, strategy 'darts' has"),
        (lambda: Search(RandomSearch(SPACE), score=lambda trial: 0.0), "give score= and budget="),
        (lambda: Search(DARTS(SPACE), steps=3), "give a supernet, its optimizer and train="),
        (lambda: trials(RandomSearch(SPACE), told="late"), "told must be one of in_order, as_they_come"),
    ],
)
def test_what_does_not_go_together_is_refused_at_the_start(build: Callable[[], Search], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build()


# -- the paper's step ------------------------------------------------------------------------------------------------


def test_the_search_step_with_joint_clipping_is_that_of_a_plain_recomputation() -> None:
    """120 steps beside a loop written out by hand: one backward pass, one norm over weights and logits that scales
    both, SGD for the weights, Adam for the logits, linear schedules, blocks that freeze at a gap of 0.3."""
    steps, lr, seed = 120, 0.03, 5
    space = ToySpace(choices=6, options=4, seed=seed)
    search = one_shot(GumbelEntropy(space, seed=seed, lr=lr), space, seed, steps=steps, clip_norm=0.05)
    losses = [float(event.loss) for event in search if event.kind == "step"]
    plain, named = _by_hand(space, seed, steps, lr, 0.05)
    assert losses == pytest.approx(plain, rel=1e-5)
    assert dict(search.genotype()) == named


def _by_hand(space: ToySpace, seed: int, steps: int, lr: float, clip: float) -> tuple[list[float], dict[str, str]]:
    supernet = ToySupernet(space, seed=seed)
    weights = list(supernet.parameters())
    logits = torch.zeros(6, 4, requires_grad=True)
    sgd = torch.optim.SGD(weights, lr=0.1, momentum=0.9)
    adam = torch.optim.Adam([logits], lr=lr)
    noise = torch.Generator().manual_seed(seed)
    batches = ToyBatches(seed).iterate()
    kept: dict[int, int] = {}
    losses, cut = [], 0
    for step in range(steps):
        progress = step / steps
        temperature, pressure = 1.0 - 0.95 * progress, -0.02 + 0.08 * progress
        uniform = torch.rand(6, 4, generator=noise)
        soft = gumbel_softmax(logits, -torch.log(-torch.log(uniform)), temperature)
        selection = Selection(
            {
                choice: (Weighted(space[choice][kept[j]], None),)
                if j in kept
                else tuple(Weighted(option, soft[j, k]) for k, option in enumerate(space[choice]))
                for j, choice in enumerate(space)
            }
        )
        loss = supernet.loss(next(batches), selection)
        p = torch.softmax(logits, -1)
        total = loss + pressure * -(p * p.log()).sum(-1).mean()
        for parameter in (*weights, logits):
            parameter.grad = None
        total.backward()
        given = [q.grad for q in (*weights, logits) if q.grad is not None]
        norm = torch.stack([g.norm() for g in given]).norm()
        cut += bool(norm > clip)
        for gradient in given:
            gradient.mul_(torch.clamp(clip / (norm + 1e-6), max=1.0))
        sgd.step()
        adam.step()
        top = torch.softmax(logits.detach(), -1).topk(2, -1).values
        for j in range(6):
            if j not in kept and float(top[j, 0] - top[j, 1]) >= 0.3:
                kept[j] = int(logits[j].argmax())
        losses.append(float(loss.detach()))
    assert cut > 20  # clipping matters here
    assert kept  # and so does freezing
    return losses, {c: space[c][kept.get(j, int(logits[j].argmax()))] for j, c in enumerate(space)}


def test_events_are_given_in_order() -> None:
    def kinds(search: Search) -> Iterator[str]:
        event: Event
        for event in search:
            yield event.kind

    assert list(kinds(trials(RandomSearch(SPACE), budget=Budget(trials=2), repeat=True))) == [
        *("stage", "asked", "told", "asked", "told", "stage"),
    ]
    finished = trials(RandomSearch(SPACE))
    finished.run()
    assert list(finished) == []
    assert copy.deepcopy(finished.ended) == "all 20 trials are finished"
