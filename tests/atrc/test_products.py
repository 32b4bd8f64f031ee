"""Products with maps, by the kernel, against torch's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from atrc.layers import Pointwise
from atrc.machine.kernels import compiled, compiles
from atrc.products import multiply, outer

few = st.integers(1, 14)
pixels = st.integers(1, 300)
types = st.sampled_from([torch.float32, torch.float64])


def random(*sizes: int, dtype: torch.dtype = torch.double) -> Tensor:
    return torch.randn(*sizes, dtype=dtype, generator=torch.Generator().manual_seed(len(sizes)))


def assert_near(found: Tensor, expected: Tensor, terms: int) -> None:
    """Equal but for the rounding of a sum."""
    digits = torch.finfo(found.dtype).eps * terms
    torch.testing.assert_close(found, expected, rtol=8 * digits, atol=8 * digits)


@settings(deadline=None)
@given(few, few, pixels, st.booleans(), st.booleans(), st.booleans(), types)
def test_weights_times_maps(
    m: int, k: int, P: int, transposed: bool, add: bool, relu: bool, dtype: torch.dtype
) -> None:
    w = random(2, 1, k, m, dtype=dtype).transpose(-1, -2) if transposed else random(2, 1, m, k, dtype=dtype)
    x, before = random(2, 3, k, P, dtype=dtype), random(2, 3, m, P, dtype=dtype)
    expected = w @ x + before * add
    got = multiply(w, x, before.clone(), add=add, relu=relu)
    assert_near(got, expected.relu() if relu else expected, k)


@settings(deadline=None)
@given(few, few, pixels, types)
def test_maps_times_maps(r: int, c: int, P: int, dtype: torch.dtype) -> None:
    a, b = random(2, 3, r, P, dtype=dtype), random(2, 3, c, P, dtype=dtype).flip(0)
    assert_near(outer(a, b), (a @ b.transpose(-1, -2)).sum(1), 3 * P)


def test_maps_of_any_strides() -> None:
    x, w = random(4, 2, 6, 5, 33), random(2, 3, 7, 5)
    part = x[1:, :, ::2].transpose(0, 1)
    assert_near(multiply(w[:, None], part), w[:, None] @ part, 5)
    assert_near(outer(part.transpose(1, 2), part.transpose(1, 2)), (part @ part.transpose(-1, -2)).sum(1), 99)
    turned = random(2, 33, 5).transpose(1, 2)  # no pixel after the other: torch's product
    assert_near(multiply(w[:, 0], turned), w[:, 0] @ turned, 5)


def test_what_is_not_a_number_stays_so() -> None:
    x = random(2, 5)
    x[0, 3] = torch.nan
    assert multiply(torch.eye(2, dtype=torch.double), x, relu=True).isnan().tolist()[0] == [False] * 3 + [True, False]


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_bits_do_not_depend_on_threads(kind: torch.dtype) -> None:
    x, w, before = random(40, 60, 777, dtype=kind), random(30, 60, dtype=kind), torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append((multiply(w, x), outer(x.view(8, 5, 60, 777), x.view(8, 5, 60, 777))))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, other) for rest in found[1:] for one, other in zip(found[0], rest, strict=True))


def test_without_a_compiler_torch_serves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setenv("ATRC_CACHE", str(tmp_path))
    for cached in (compiled, compiles):
        cached.cache_clear()
    try:
        x, w = random(2, 5, 33), random(3, 5)
        torch.testing.assert_close(multiply(w, x), w @ x, rtol=0, atol=0)
        torch.testing.assert_close(outer(x, x), (x @ x.transpose(1, 2)).sum(0), rtol=0, atol=0)
    finally:
        for cached in (compiled, compiles):
            cached.cache_clear()


@pytest.mark.parametrize("bias", [True, False])
def test_a_1x1_convolution_is_that_of_torch(bias: bool) -> None:
    ours, theirs = Pointwise(5, 7, bias=bias).double(), nn.Conv2d(5, 7, 1, bias=bias).double()
    theirs.load_state_dict(ours.state_dict())
    x = random(2, 5, 6, 9).requires_grad_()
    results = []
    for layer in (ours, theirs):
        out = layer(x)
        results.append((out, torch.autograd.grad(out.square().sum(), [x, *layer.parameters()])))
    torch.testing.assert_close(results[0], results[1], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        ours(x.contiguous(memory_format=torch.channels_last)), results[1][0], rtol=1e-12, atol=1e-12
    )
