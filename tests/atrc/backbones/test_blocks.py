"""Blocks that backbones share."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from atrc.layers import BasicBlock


@pytest.mark.parametrize("inputs", [6, 24])
def test_a_shortcut_is_a_strided_convolution(inputs: int) -> None:
    """Narrow ones take another way to the same function, whose name and shape of weight are the same."""
    torch.manual_seed(0)
    block = BasicBlock(inputs, 8, stride=2).double().eval()
    conv = block.downsample[0]  # type: ignore[index]
    plain = nn.Conv2d(inputs, 8, 1, stride=2, bias=False).double()
    plain.load_state_dict(conv.state_dict())
    x = torch.randn(2, inputs, 7, 10, dtype=torch.float64)
    theirs, own = x.clone().requires_grad_(), x.clone().requires_grad_()
    expected, found = plain(theirs), conv(own)
    assert torch.allclose(found, expected, rtol=0, atol=1e-12)
    expected.square().sum().backward()
    found.square().sum().backward()
    assert torch.allclose(own.grad, theirs.grad, rtol=0, atol=1e-12)
    assert torch.allclose(conv.weight.grad, plain.weight.grad, rtol=0, atol=1e-12)
