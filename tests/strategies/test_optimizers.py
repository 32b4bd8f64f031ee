"""Optimisers without the compiler against those of torch."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from strategies._optimizers import eager

KINDS: list[tuple[type[torch.optim.Optimizer], dict[str, Any]]] = [
    (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
    (torch.optim.Adam, {"lr": 0.1, "betas": (0.5, 0.9)}),
    (torch.optim.AdamW, {"lr": 0.1, "fused": True}),
    (torch.optim.AdamW, {"lr": 0.1, "foreach": True}),
]


def trained(kind: Any, options: dict[str, Any], steps: int, state: Any = None) -> tuple[list[torch.Tensor], Any]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 2))
    optimizer = kind(
        [{"params": network[0].parameters(), "factor": 2.0}, {"params": network[2].parameters()}], **options
    )
    if state is not None:
        network.load_state_dict(state[0])
        optimizer.load_state_dict(state[1])
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        network(torch.ones(3, 5)).square().sum().backward()
        optimizer.step()
    return list(network.parameters()), (network.state_dict(), copy.deepcopy(optimizer.state_dict()))


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_a_step_is_that_of_torch_to_the_bit(kind: Any, options: dict[str, Any]) -> None:
    expected, _ = trained(kind, options, 5)
    whole, _ = trained(eager(kind), options, 5)
    _, halfway = trained(eager(kind), options, 2)
    continued, _ = trained(eager(kind), options, 3, halfway)
    _, theirs = trained(kind, options, 2)
    taken_over, _ = trained(eager(kind), options, 3, theirs)
    for found in (whole, continued, taken_over):
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_hooks_of_a_step_are_called() -> None:
    network = nn.Linear(2, 2)
    optimizer = eager(torch.optim.SGD)(network.parameters(), lr=0.1)
    called: list[str] = []
    optimizer.register_step_pre_hook(lambda *_: called.append("before"))
    optimizer.register_step_post_hook(lambda *_: called.append("after"))
    optimizer.step()
    assert called == ["before", "after"]
    assert isinstance(optimizer, torch.optim.SGD)
    assert repr(optimizer).startswith("SGD")
