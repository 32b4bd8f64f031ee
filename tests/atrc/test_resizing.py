"""Bilinear resizing, whose values and gradients are those of torch."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from atrc.resizing import resize

side = st.integers(1, 40)


@given(side, side, side, side)
def test_values_and_gradients_are_those_of_torch(h: int, w: int, height: int, width: int) -> None:
    x = torch.randn(2, 3, h, w, dtype=torch.double, generator=torch.Generator().manual_seed(0), requires_grad=True)
    grad = torch.randn(2, 3, height, width, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    ours, theirs = resize(x, (height, width)), F.interpolate(x, (height, width), mode="bilinear", align_corners=False)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    found, expected = (torch.autograd.grad(y, x, grad)[0] for y in (ours, theirs))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float32])
def test_gradient_has_the_type_and_the_digits_of_the_map(kind: torch.dtype) -> None:
    x = torch.randn(2, 5, 24, 32, generator=torch.Generator().manual_seed(0))
    grad = torch.randn(2, 5, 96, 128, generator=torch.Generator().manual_seed(1))
    found = {}
    for dtype in (kind, torch.double):
        leaf = x.to(kind).to(dtype).requires_grad_()
        with torch.autocast("cpu", enabled=kind == torch.bfloat16):
            (found[dtype],) = torch.autograd.grad(resize(leaf, (96, 128)), leaf, grad.to(kind).to(dtype))
    assert found[kind].dtype == kind
    torch.testing.assert_close(found[kind].double(), found[torch.double], rtol=torch.finfo(kind).eps, atol=1e-6)


def test_a_matrix_made_in_inference_mode_serves_training() -> None:
    leaf = torch.randn(1, 1, 3, 5, requires_grad=True)
    with torch.inference_mode():
        resize(leaf, (31, 33))
    resize(leaf, (31, 33)).sum().backward()
    assert float(leaf.grad.sum()) == pytest.approx(31 * 33, rel=1e-5)
