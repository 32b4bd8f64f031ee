"""Networks and searches on a GPU: against the CPU, fused against plain, steps of many strategies, resuming.

``make gpu-check`` runs these tests; without a GPU they are skipped. Names with ``quick`` run when the check itself is
tried on a CPU.
"""

from __future__ import annotations

import dataclasses
import io
import itertools
import math
import random
from typing import Any

import pytest
import torch
from gpu_check.searching import rooms_of, search_of, steps_of
from gpu_check.tested import DEVICE, NEEDS_DEVICE, no_waiting

from atrc.config import load_config
from atrc.inference import Predictor
from atrc.setup import Setup
from atrc.training.learner import WeightLearner
from searchspace import Selection

pytestmark = NEEDS_DEVICE
CPU = torch.device("cpu")
STRATEGIES = (
    *("gumbel_entropy", "snas", "darts", "darts_second", "gdas", "drnas", "fair_darts", "proxyless", "dsnas"),
    *("enas", "spos"),
)


def config_of(*changes: str) -> Any:
    """The demo on four rooms."""
    return load_config("demo", ["dataset.train=8", "search.batch_size=4", "search.lr=0.001", *changes])


def losses(config: Any, steps: int) -> list[float]:
    search, _ = search_of(config, DEVICE)
    return [float(loss) for loss in itertools.islice(steps_of(search), steps)]


def through_a_file(state: Any) -> Any:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, map_location="cpu", weights_only=True)


@pytest.mark.parametrize("model", ["first", "second"])
def test_a_supernet_at_a_genotype_computes_what_it_does_on_a_cpu(model: str) -> None:
    """Loss and gradients in double precision, where rounding hides nothing."""
    setup = Setup.of(config_of("tasks.normals.centroids=8"))
    rooms = rooms_of(setup, 4)
    genotype = setup.space.sample(random.Random(model))
    torch.manual_seed(0)
    state = setup.supernet(pretrained=False).double().state_dict()
    batch = setup.batches(rooms, setup.config.search, seed=0, device=CPU).batch(0)
    found = []
    for device in (CPU, DEVICE):
        supernet = setup.supernet(pretrained=False).double().to(device)
        supernet.load_state_dict(state)
        moved = doubled(batch).to(device)
        loss = supernet.loss(moved, Selection.of(genotype))
        loss.backward()
        norms = [p.grad.norm().item() for p in supernet.parameters() if p.grad is not None]
        found.append([float(loss.detach()), *norms])
    assert found[0] == pytest.approx(found[1], rel=1e-5, abs=1e-7)


def doubled(batch: Any) -> Any:
    """A batch in double precision."""
    labels = {name: x.double() if x.is_floating_point() else x for name, x in batch.labels.items()}
    return dataclasses.replace(batch, image=batch.image.double(), labels=labels)


def test_quick_fused_is_plain() -> None:
    """The first losses of a search, with our kernels and with plain operations."""
    fused = losses(config_of(), 3)
    plain = losses(config_of("model.fused=false", "model.contexts.local.form=tiled"), 3)
    # the plain form projects by convolutions, which may run in TF32 on a GPU
    assert fused == pytest.approx(plain, rel=5e-3)


def test_blocks_that_are_computed_again_give_the_same() -> None:
    assert losses(config_of("model.checkpoint=true"), 2) == pytest.approx(losses(config_of(), 2), rel=2e-3)


def test_mixed_precision_is_near() -> None:
    mixed, single = losses(config_of("precision=bfloat16"), 4), losses(config_of(), 4)
    assert all(map(math.isfinite, mixed))
    assert mixed[0] == pytest.approx(single[0], rel=0.05)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_strategy_steps_and_resumes(strategy: str) -> None:
    """Three steps, a new search that loads the state, three more; the same as six without a stop.

    Not to the bit: some backward passes on a GPU sum in any order (`gpu_check.resume` compares bits).
    """
    config = config_of(f"strategy={{name: {strategy}}}")
    whole = losses(config, 6)
    assert all(map(math.isfinite, whole))
    begun, _ = search_of(config, DEVICE)
    first = [float(loss) for loss in itertools.islice(steps_of(begun), 3)]
    state = through_a_file(begun.state_dict())
    resumed, _ = search_of(config, DEVICE)
    resumed.load_state_dict(state)
    rest = [float(loss) for loss in itertools.islice(steps_of(resumed), 3)]
    assert [*first, *rest] == pytest.approx(whole, rel=1e-2)
    assert resumed.spent.steps == 6


@pytest.mark.parametrize("strategy", ["gumbel_entropy", "snas", "darts", "drnas", "fair_darts", "mtl_nas"])
def test_a_search_step_waits_for_nothing(strategy: str) -> None:
    """Others read the options that they draw; see ``docs/speed.md``, A step on a GPU."""
    search, _ = search_of(config_of(f"strategy={{name: {strategy}}}"), DEVICE)
    steps = steps_of(search)
    found = [*itertools.islice(steps, 3)]  # tensors that are kept are made here, and kernels are compiled
    with no_waiting():
        found += itertools.islice(steps, 2)
    assert all(math.isfinite(float(loss)) for loss in found)


def test_a_search_learns() -> None:
    """On the same four images over and over."""
    found = losses(config_of("search.lr=0.01"), 20)
    assert sum(found[-4:]) < 0.8 * sum(found[:4])


@pytest.mark.parametrize("name", ["quick", "other"])
def test_a_found_network_predicts_what_it_does_on_a_cpu(name: str) -> None:
    """In evaluation mode, after steps on the device."""
    setup = Setup.of(config_of())
    rooms = rooms_of(setup, 8)
    genotype = setup.space.sample(random.Random(name))
    torch.manual_seed(0)
    learner = WeightLearner(setup.network("found", genotype).to(DEVICE), setup.config.train)
    batches = setup.batches(rooms, setup.config.search, seed=0, device=DEVICE)
    for step in range(3):
        loss = learner.step(batches.batch(step).to(DEVICE), step)["loss"]
        assert math.isfinite(float(loss))
    batch = batches.batch(0)
    network = learner.network.eval()
    with torch.no_grad():
        ours = Predictor(network)(batch.to(DEVICE)).final
        on_cpu = Predictor(network.to(CPU).double())(doubled(batch)).final
    for task, prediction in ours.items():
        expected = on_cpu[task]
        # convolutions may run in TF32, which has ten bits
        error = float((prediction.cpu().double() - expected).norm() / expected.norm())
        assert error < 2e-2, task


@pytest.mark.skipif(DEVICE.type == "cpu", reason="a CPU pins no memory")
def test_batches_in_pinned_memory_arrive_whole() -> None:
    """The copies do not wait; the numbers must be there when a kernel reads them."""
    setup = Setup.of(config_of())
    rooms = rooms_of(setup, 8)
    batches = setup.batches(rooms, setup.config.search, seed=0, device=DEVICE)
    for step, batch in zip(range(8), batches.iterate(), strict=False):
        assert batch.image.is_pinned()
        moved, expected = batch.to(DEVICE), batches.batch(step)
        assert torch.equal(moved.image.cpu(), expected.image)
        assert all(torch.equal(moved.labels[name].cpu(), label) for name, label in expected.labels.items())
