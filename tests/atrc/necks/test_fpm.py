"""Feature propagation and MTI-Net's decoder: counts of the paper, shapes, order of tasks, and the parts by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from atrc.backbones import Pyramid
from atrc.config import load_config
from atrc.costs import count_parameters
from atrc.data import Batch
from atrc.distillation import NoDistillation
from atrc.necks import FPM, NECKS, MTINet, Propagation
from atrc.networks import multi_task_loss
from atrc.setup import Setup

OUTPUTS = {"semseg": 40, "depth": 1, "normals": 3, "edge": 1}
HRNET18 = (18, 36, 72, 144)
SCALES = (8, 12, 16, 20)
GRIDS = ((27, 35), (14, 18), (7, 9), (4, 5))


def pyramid(seed: int, scales: tuple[int, ...] = SCALES) -> Pyramid:
    generator = torch.Generator().manual_seed(seed)
    return Pyramid([torch.randn(2, c, *grid, generator=generator) for c, grid in zip(scales, GRIDS, strict=True)])


def test_counts_of_the_paper() -> None:
    """Three modules between four scales are 3.285 M with HRNet18 and four tasks, initial predictions 4.56 M."""
    neck = FPM(HRNET18, OUTPUTS)
    assert count_parameters(neck.propagate) == pytest.approx(3.285e6, abs=500)
    assert count_parameters(neck.features) + count_parameters(neck.predict) == pytest.approx(4.56e6, abs=1000)


@pytest.mark.parametrize(("backbone", "least", "most"), [("hrnet18", 173, 175), ("hrnet48", 79, 80)])
def test_share_that_it_adds_to_the_multi_task_network(backbone: str, least: float, most: float) -> None:
    """Sec. 4.3: +174 % and +79 %."""
    counts = []
    for source in (f"nyud_{backbone}", f"nyud_{backbone}+fpm"):
        config = load_config(source)
        with torch.device("meta"):
            network = Setup.of(config).network("multi", None, pretrained=False)
        counts.append(count_parameters(network))
    assert least < 100 * (counts[1] - counts[0]) / counts[0] < most


@pytest.mark.parametrize("name", sorted(NECKS))
@pytest.mark.parametrize(
    "tasks", [["semseg"], list(OUTPUTS), ["semseg", "human_parts", "saliency", "normals", "edge"]]
)
def test_maps_keep_their_shapes_and_everything_learns(name: str, tasks: list[str]) -> None:
    torch.manual_seed(0)
    outputs = dict.fromkeys(tasks, 3)
    neck = NECKS.create(name, {}, SCALES, outputs)
    shared = pyramid(0)
    refined, initial = neck(dict.fromkeys(tasks, shared))
    for task in tasks:
        assert [x.shape for x in refined[task].maps] == [x.shape for x in shared.maps]
        assert [tuple(x.shape) for x in initial[task]] == [(2, 3, *grid) for grid in GRIDS]
    total = sum(x.square().mean() for task in tasks for x in (*refined[task].maps, *initial[task]))
    total.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in neck.parameters())


@pytest.mark.parametrize("name", sorted(NECKS))
@torch.no_grad()
def test_the_order_of_tasks_changes_nothing_but_the_order(name: str) -> None:
    """Where tasks lie side by side, a permutation of the weights is a permutation of the tasks."""
    tasks, order = ["a", "b", "c"], ["c", "a", "b"]
    torch.manual_seed(0)
    neck = NECKS.create(name, {}, SCALES, dict.fromkeys(tasks, 3)).eval()
    other = NECKS.create(name, {}, SCALES, dict.fromkeys(order, 3)).eval()
    state = dict(neck.state_dict())
    for i, width in enumerate(SCALES[1:]):
        permutation = torch.cat([torch.arange(width) + tasks.index(task) * width for task in order])
        for key in (
            "mask.0.conv1.weight",
            "mask.0.downsample.0.weight",
            "reduce.conv1.weight",
            "reduce.downsample.0.weight",
        ):
            state[f"propagate.{i}.{key}"] = state[f"propagate.{i}.{key}"][:, permutation]
        for key in ("mask.2.weight", "mask.2.bias"):
            state[f"propagate.{i}.{key}"] = state[f"propagate.{i}.{key}"][permutation]
    other.load_state_dict(state)
    pyramids = {task: pyramid(seed) for seed, task in enumerate(tasks)}
    found, expected = other({task: pyramids[task] for task in order}), neck(pyramids)
    for task in tasks:
        for a, b in zip(found.pyramids[task].maps, expected.pyramids[task].maps, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_propagation_by_hand() -> None:
    torch.manual_seed(0)
    module = Propagation(["a", "b"], 16).eval()
    a, b = torch.randn(2, 2, 16, 5, 7)
    joined = torch.cat([a, b], 1)
    scores = module.mask(joined)
    gate_a = 1 / (1 + torch.exp(scores[:, 16:] - scores[:, :16]))  # a softmax over two tasks
    merged = module.reduce(torch.cat([gate_a * a, (1 - gate_a) * b], 1))
    squeezed = module.excite["a"].scale(merged.mean((2, 3)))
    torch.testing.assert_close(module({"a": a, "b": b})["a"], a + squeezed[:, :, None, None] * merged)


@torch.no_grad()
def test_mti_net_exchanges_messages_at_every_scale() -> None:
    torch.manual_seed(0)
    neck = MTINet(SCALES, {"a": 2, "b": 2}).eval()
    plain = FPM(SCALES, {"a": 2, "b": 2}).eval()
    plain.load_state_dict({k: v for k, v in neck.state_dict().items() if not k.startswith("distill")})
    pyramids = {"a": pyramid(1), "b": pyramid(2)}
    refined, propagated = neck(pyramids).pyramids, plain(pyramids).pyramids
    for scale, module in enumerate(neck.distill):
        own, other = (propagated[task].maps[scale] for task in "ab")
        message = module.messages["a"]["b"]
        expected = own + message.message(other) * torch.sigmoid(message.gate(other))
        torch.testing.assert_close(refined["a"].maps[scale], expected)


def test_initial_predictions_are_supervised_like_the_final_one(config) -> None:
    with_neck = config.model_copy(
        update={
            "tasks": {name: options for name, options in config.tasks.items() if name != "normals"},
            "model": config.model.model_validate({"neck": {"name": "fpm"}, "head": {"aspp": True, "rates": [1, 2]}}),
        }
    )
    torch.manual_seed(0)
    setup = Setup.of(with_neck)
    tasks, network = setup.tasks, setup.network("multi", None)
    assert isinstance(network.distillation, NoDistillation)
    assert isinstance(network.neck, nn.Module)
    generator = torch.Generator().manual_seed(0)
    labels = {
        "semseg": torch.randint(0, 5, (2, 32, 48), generator=generator),
        "depth": torch.rand(2, 32, 48, generator=generator) * 4 + 1,
        "edge": torch.randint(0, 2, (2, 32, 48), generator=generator),
    }
    image = torch.randn(2, 3, 32, 48, generator=generator)
    batch = Batch(image, labels, torch.ones(2, 1, 32, 48, dtype=torch.bool), ["a", "b"])
    total, parts = multi_task_loss(network(image), batch, tasks)
    assert set(parts) == {name + end for name in tasks for end in ("", *(f".initial{i}" for i in range(4)))}
    expected = sum(tasks[name.partition(".")[0]].weight * value for name, value in parts.items())
    torch.testing.assert_close(total.detach(), expected)
    total.backward()
    assert all(p.grad is not None for p in network.parameters())
