"""Clipping without a loop."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from strategies import clip_gradients


@pytest.mark.parametrize("largest", [0.5, 3.0, 1e6])
def test_is_that_of_torch(largest: float) -> None:
    ours = nn.Sequential(nn.Linear(5, 7), nn.Linear(7, 1), nn.Linear(3, 3)).double()
    theirs = nn.Sequential(nn.Linear(5, 7), nn.Linear(7, 1), nn.Linear(3, 3)).double()
    theirs.load_state_dict(ours.state_dict())
    for net in (ours, theirs):
        net[:2](torch.arange(10, dtype=torch.double).view(2, 5)).square().sum().backward()  # the last layer has none
    clip_gradients(ours.parameters(), largest)
    nn.utils.clip_grad_norm_(theirs.parameters(), largest)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad, rtol=1e-12, atol=0)


def test_nothing_to_clip() -> None:
    clip_gradients([], 1.0)
    clip_gradients([torch.zeros(2, requires_grad=True)], 1.0)
