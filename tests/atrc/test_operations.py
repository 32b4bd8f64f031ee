"""Counted operations against torch: the shapes that it would find, and the numbers that its own counter gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from atrc.costs._operations import Operations

x, wide, flag = torch.rand(2, 6, 9, 11), torch.rand(6, 1, 1), torch.rand(2, 6, 9, 11) > 0.5
OPERATIONS: dict[str, tuple[Callable[..., Tensor], tuple[Tensor, ...]]] = {
    "convolution": (
        lambda x, w: F.conv2d(x, w, stride=(2, 1), padding=(1, 0), dilation=(2, 3)),
        (x, x[:, :, :3, :2]),
    ),
    "grouped": (lambda x, w: F.conv2d(x, w, groups=3, padding=2), (x, torch.rand(9, 2, 3, 5))),
    "in one dimension": (lambda x, w: F.conv1d(x, w, stride=3), (x[0], torch.rand(4, 9, 2))),
    "transposed": (
        lambda x, w: F.conv_transpose2d(x, w, stride=(3, 2), padding=1, output_padding=(2, 0), groups=2, dilation=2),
        (x, torch.rand(6, 4, 3, 2)),
    ),
    "unfold": (lambda x: F.unfold(x, (3, 5), dilation=(2, 1), padding=(1, 2), stride=(1, 2)), (x,)),
    "cat": (lambda x: torch.cat([x, x[..., :4]], -1), (x,)),
    "mean": (lambda x: x.mean((1, -1)), (x,)),
    "mean, kept": (lambda x: x.mean(2, keepdim=True), (x,)),
    "mean of all": (lambda x: x.mean(), (x,)),
    "sum": (lambda x: x.sum((0, 3)), (x,)),
    "softmax": (lambda x: x.softmax(1), (x,)),
    "bilinear": (lambda x: F.interpolate(x, (4, 30), mode="bilinear"), (x,)),
    "linear": (nn.Linear(11, 3), (x,)),
    "product of matrices": (lambda x, y: x.flatten(0, 2) @ y, (x, torch.rand(11, 7))),
    "products of matrices": (torch.bmm, (x[0], torch.rand(6, 11, 2))),
    "broadcast": (lambda x, y: torch.where(x > y, x * 2, y + 1), (x, wide)),
    "types": (lambda x, f: (~f).double() + x, (x, flag)),
    "masks": (lambda x, f: x.masked_fill(f, 0.0).clamp_min(0.1).exp(), (x, flag)),
    "like": (lambda x: torch.zeros_like(x) + torch.ones_like(x), (x,)),
    "not passed on": (lambda x: F.avg_pool2d(x, 2, ceil_mode=True), (x,)),
    "not contiguous": (lambda x: x.permute(0, 2, 3, 1).relu().contiguous().view(-1, 6), (x,)),
    "in place": (lambda x: F.relu(x * 1, inplace=True), (x,)),
}


@pytest.mark.parametrize("name", OPERATIONS)
@torch.no_grad()
def test_shapes_and_types_are_those_of_torch(name: str) -> None:
    function, tensors = OPERATIONS[name]
    expected = function(*tensors)
    if isinstance(function, nn.Module):
        function = function.to("meta")
    with Operations({}):
        found = function(*(tensor.to("meta") for tensor in tensors))
    assert (found.shape, found.dtype, found.device.type) == (expected.shape, expected.dtype, "meta")


def test_numbers_are_those_of_the_counter_of_torch() -> None:
    """Apart from biases, batch norms and ReLU, which torch's counter leaves out."""
    network = nn.Sequential(nn.Conv2d(6, 8, 3, padding=1, bias=False), nn.Sigmoid(), nn.Flatten(2), nn.Linear(99, 5))
    network.append(nn.MultiheadAttention(5, 1, batch_first=True)).to("meta").eval()
    *plain, attention = network

    def run() -> Any:
        maps = torch.rand(2, 6, 9, 11, device="meta")
        for layer in plain:
            maps = layer(maps)
        return attention(maps, maps, maps)

    with torch.no_grad(), Operations({}) as ours:
        run()
    with torch.no_grad(), FlopCounterMode(display=False) as theirs:
        run()
    assert ours.number == theirs.get_total_flops() > 0


def test_what_is_not_meant_to_draw_draws_nothing() -> None:
    """The results of a run do not depend on whether something was counted before."""
    before = torch.get_rng_state()
    with Operations({}):
        F.dropout(torch.rand(3, 4, device="meta"), 0.5, training=True)
    assert torch.equal(before, torch.get_rng_state())
