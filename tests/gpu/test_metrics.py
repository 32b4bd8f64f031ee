"""Metrics and clipping on a GPU: the values of the CPU, and nothing that is read back before the end.

``make gpu-check`` runs these tests; without a GPU they are skipped.
"""

from __future__ import annotations

import pytest
import torch
from gpu_check.tested import DEVICE, NEEDS_DEVICE, no_waiting
from torch import nn

from atrc.config import load_config
from atrc.setup import Setup
from strategies import clip_gradients

pytestmark = NEEDS_DEVICE
LABELS, MAPS = (53, 70), (14, 18)
TASKS = {"semseg": "nyud_hrnet18", "depth": "nyud_hrnet18", "normals": "nyud_hrnet18", "edge": "nyud_hrnet18"} | {
    "human_parts": "pascal_hrnet18",
    "saliency": "pascal_hrnet18",
}


def a_label(task: str, channels: int, generator: torch.Generator) -> torch.Tensor:
    """A label of three images, with pixels that do not count."""
    size = (3, *LABELS)
    unknown = torch.rand(size, generator=generator) < 0.2
    if task == "depth":
        return (torch.rand(size, generator=generator) * 8 + 0.5).masked_fill(unknown, 0)
    if task == "normals":
        made = nn.functional.normalize(torch.randn(3, 3, *LABELS, generator=generator), dim=1)
        return made.masked_fill(unknown[:, None], 0)
    classes = max(channels, 2)
    return torch.randint(classes, size, generator=generator).masked_fill(unknown, 255)


@pytest.mark.parametrize("task", TASKS)
def test_a_metric_has_the_value_of_the_cpu(task: str) -> None:
    """From the raw output of a network on the coarse grid to the value."""
    made = Setup.of(load_config(TASKS[task])).tasks[task]
    generator = torch.Generator().manual_seed(0)
    prediction = torch.randn(3, made.channels, *MAPS, generator=generator)
    label = a_label(task, made.channels, generator)
    values = []
    for device in (torch.device("cpu"), DEVICE):
        metric = made.metric().to(device)
        here, there = prediction.to(device), label.to(device)
        for _ in range(2):
            metric.update(made.decode_at(here, LABELS), there)
        values.append(float(metric.compute()))
    # a class may change where two logits are equal but for their last digits
    assert values[0] == pytest.approx(values[1], rel=1e-3)


@pytest.mark.parametrize("task", ["semseg", "depth", "normals", "saliency"])
def test_a_metric_waits_for_nothing(task: str) -> None:
    """Boundaries are the exception: they are matched on the CPU."""
    made = Setup.of(load_config(TASKS[task])).tasks[task]
    generator = torch.Generator().manual_seed(0)
    prediction = torch.randn(3, made.channels, *MAPS, generator=generator).to(DEVICE)
    label = a_label(task, made.channels, generator).to(DEVICE)
    metric = made.metric().to(DEVICE)
    metric.update(made.decode_at(prediction, LABELS), label)  # tensors that are kept are made here
    with no_waiting():
        metric.update(made.decode_at(prediction, LABELS), label)
    assert float(metric.compute()) == float(metric.compute())


@pytest.mark.parametrize("largest", [0.5, 1e6])
def test_clipping_is_that_of_torch_and_waits_for_nothing(largest: float) -> None:
    torch.manual_seed(0)
    ours, theirs = (nn.Sequential(nn.Linear(50, 70), nn.Linear(70, 1), nn.Linear(3, 3)).to(DEVICE) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    images = torch.arange(100.0, device=DEVICE).view(2, 50)
    for net in (ours, theirs):
        net[:2](images).square().sum().backward()  # the last layer has no gradient
    with no_waiting():
        clip_gradients(ours.parameters(), largest)
    nn.utils.clip_grad_norm_(theirs.parameters(), largest)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad, rtol=1e-5, atol=0)


def test_clipping_on_two_devices_shares_one_norm() -> None:
    """Architecture parameters may be on the CPU while weights are on a GPU."""
    on_cpu, on_device = torch.zeros(3, requires_grad=True), torch.zeros(4, device=DEVICE, requires_grad=True)
    on_cpu.grad, on_device.grad = torch.full((3,), 2.0), torch.full((4,), 1.0, device=DEVICE)
    clip_gradients([on_cpu, on_device], 1.0)
    norm = (on_cpu.grad.square().sum() + on_device.grad.cpu().square().sum()).sqrt()
    assert float(norm) == pytest.approx(1.0, rel=1e-5)
    assert float(on_cpu.grad[0]) == pytest.approx(0.5, rel=1e-5)
