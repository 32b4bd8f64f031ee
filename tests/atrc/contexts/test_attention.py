"""Attention operations against loops in float64 that follow the equations of Sec. 3.2 word by word."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from atrc.contexts.attention import linear_attention, prototype_attention, region_prototypes, spatial_softmax
from atrc.contexts.local_attention import BORDERS, forms_on, local_attention
from atrc.machine.kernels import compiled, compiles
from searchspace import InputError


def random(*shape: int, seed: int = 0, positive: bool = False) -> Tensor:
    x = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return (x.abs() + 0.1 if positive else x).requires_grad_()


def local_by_loops(q: Tensor, k: Tensor, v: Tensor, window: int, border: str) -> Tensor:
    """Eq. 4, one pixel at a time. With ``zero``, neighbours outside count with similarity 0 and value 0."""
    B, d, H, W = q.shape
    radius, rows = window // 2, []
    for b in range(B):
        for y in range(H):
            for x in range(W):
                scores, values = [], []
                for dy in range(-radius, radius + 1):
                    for dx in range(-radius, radius + 1):
                        inside = 0 <= y + dy < H and 0 <= x + dx < W
                        if inside:
                            scores.append(q[b, :, y, x] @ k[b, :, y + dy, x + dx] / math.sqrt(d))
                            values.append(v[b, :, y + dy, x + dx])
                        elif border == "zero":
                            scores.append(q.new_zeros(()))
                            values.append(torch.zeros_like(v[b, :, y, x]))
                weights = torch.softmax(torch.stack(scores), 0)
                rows.append(sum(w * value for w, value in zip(weights, values, strict=True)))
    return torch.stack(rows).view(B, H, W, -1).permute(0, 3, 1, 2)


def assert_same(function, reference, *inputs: Tensor) -> None:
    """Values and all gradients agree within 1e-5 relative (float64: far closer)."""
    out, expected = function(*inputs), reference(*inputs)
    torch.testing.assert_close(out, expected, rtol=1e-9, atol=1e-11)
    cotangent = torch.randn(out.shape, dtype=out.dtype, generator=torch.Generator().manual_seed(9))
    for got, wanted in zip(
        torch.autograd.grad(out, inputs, cotangent), torch.autograd.grad(expected, inputs, cotangent), strict=True
    ):
        torch.testing.assert_close(got, wanted, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("form", ["auto", *forms_on(torch.device("cpu"))])
def test_local_attention_is_equation_4(form: str, border: str) -> None:
    q, k, v = random(2, 3, 5, 11), random(2, 3, 5, 11, seed=1), random(2, 4, 5, 11, seed=2)
    assert_same(
        lambda q, k, v: local_attention(q, k, v, window=5, border=border, form=form),
        lambda q, k, v: local_by_loops(q, k, v, 5, border),
        q,
        k,
        v,
    )


@pytest.mark.parametrize("form", ["compiled", "tiled"])
@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(1, 19),
    width=st.integers(1, 19),
    channels=st.integers(1, 6),
    window=st.sampled_from([1, 3, 7, 9, 11, 17, 19]),
    border=st.sampled_from(BORDERS),
)
def test_forms_agree_at_any_size_and_window(
    form: str, height: int, width: int, channels: int, window: int, border: str
) -> None:
    q, k = random(1, channels, height, width), random(1, channels, height, width, seed=1)
    assert_same(
        lambda q, k, v: local_attention(q, k, v, window=window, border=border, form=form),
        lambda q, k, v: local_attention(q, k, v, window=window, border=border, form="unfold"),
        q,
        k,
        random(1, 3, height, width, seed=2),
    )


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("form", ["compiled", "tiled"])
def test_single_precision(form: str, border: str) -> None:
    """Within 1e-5 of the definition in double precision, also where similarities are far apart."""
    inputs = [random(2, 33, 21, 26, seed=i) for i in range(3)]
    inputs[0] = (3 * inputs[0]).detach().requires_grad_()
    cotangent = random(2, 33, 21, 26, seed=3).detach()

    def run(form: str, dtype: torch.dtype) -> list[Tensor]:
        q, k, v = (x.detach().to(dtype).requires_grad_() for x in inputs)
        out = local_attention(q, k, v, border=border, form=form)
        return [out, *torch.autograd.grad(out, (q, k, v), cotangent.to(dtype))]

    for got, wanted in zip(run(form, torch.float32), run("unfold", torch.float64), strict=True):
        assert float((got.double() - wanted).detach().norm() / wanted.detach().norm()) < 1e-5


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("window", [1, 5, 9, 19])
def test_flex_attention_attends_to_the_same_neighbours(window: int, border: str) -> None:
    """Values alone: on a CPU it has no backward pass."""
    q, k, v = (random(2, channels, 13, 21, seed=channels).detach() for channels in (5, 5, 7))
    got, expected = (local_attention(q, k, v, window=window, border=border, form=form) for form in ("flex", "unfold"))
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


def test_the_compiled_form_gives_the_same_bits_on_any_number_of_threads() -> None:
    inputs = [random(3, 4, 40, 50, seed=i) for i in range(3)]

    def run(threads: int) -> list[Tensor]:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            out = local_attention(*inputs, form="compiled")
            return [out, *torch.autograd.grad(out.square().sum(), inputs)]
        finally:
            torch.set_num_threads(before)

    for one, two in zip(run(1), run(2), strict=True):
        assert torch.equal(one, two)


def test_without_a_compiler_the_tiled_form_serves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    inputs = [random(1, 3, 9, 11, seed=i) for i in range(3)]
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setenv("ATRC_CACHE", str(tmp_path))
    for cached in (compiled, compiles):
        cached.cache_clear()
    try:
        assert torch.equal(local_attention(*inputs), local_attention(*inputs, form="tiled"))
        with pytest.raises(InputError, match="no-such-compiler"):
            local_attention(*inputs, form="compiled")
    finally:
        for cached in (compiled, compiles):
            cached.cache_clear()


def test_local_attention_of_constant_values() -> None:
    """Weights sum to 1 under the mask rule everywhere; under the zero rule they fall short at the border only."""
    q, k, ones = random(1, 4, 20, 20), random(1, 4, 20, 20, seed=1), torch.ones(1, 1, 20, 20, dtype=torch.float64)
    torch.testing.assert_close(local_attention(q, k, ones, border="mask"), ones)
    zero = local_attention(q, k, ones, border="zero")
    torch.testing.assert_close(zero[..., 4:-4, 4:-4], ones[..., 4:-4, 4:-4])
    assert bool((zero[..., 0, :] < 1).all())


def test_a_mask_made_in_inference_mode_serves_training() -> None:
    shape = (1, 2, 13, 9)  # a size that no other test uses, so that the mask is not cached yet
    with torch.inference_mode():
        local_attention(torch.ones(shape), torch.ones(shape), torch.ones(shape))
    q = torch.ones(shape, requires_grad=True)
    local_attention(q, torch.ones(shape), torch.ones(shape)).sum().backward()
    assert q.grad is not None


def test_linear_attention_is_the_explicit_matrix_form() -> None:
    """Eq. 3 with the L x L matrix of similarities written out."""

    def explicit(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        similarity = torch.einsum("bdi,bdj->bij", q.flatten(2), k.flatten(2))
        out = torch.einsum("bij,bej->bei", similarity / similarity.sum(-1, keepdim=True), v.flatten(2))
        return out.view(v.shape)

    assert_same(
        linear_attention,
        explicit,
        random(2, 5, 6, 7, positive=True),
        random(2, 5, 6, 7, seed=1, positive=True),
        random(2, 3, 6, 7, seed=2),
    )


def test_prototypes_and_their_attention_are_equations_5_and_2() -> None:
    """One pixel, one region at a time."""

    def by_loops(a: Tensor, f: Tensor, q: Tensor) -> Tensor:
        B, R, H, W = a.shape
        out = []
        for b in range(B):
            density = [torch.exp(a[b, r]) / torch.exp(a[b, r]).sum() for r in range(R)]
            prototypes = [(density[r] * f[b]).sum((1, 2)) for r in range(R)]
            for y in range(H):
                for x in range(W):
                    scores = torch.stack([q[b, :, y, x] @ p / math.sqrt(q.shape[1]) for p in prototypes])
                    weights = torch.exp(scores) / torch.exp(scores).sum()
                    out.append(sum(w * p for w, p in zip(weights, prototypes, strict=True)))
        return torch.stack(out).view(B, H, W, -1).permute(0, 3, 1, 2)

    def ours(a: Tensor, f: Tensor, q: Tensor) -> Tensor:
        prototypes = region_prototypes(spatial_softmax(a), f)
        return prototype_attention(q, prototypes, prototypes)

    assert_same(ours, by_loops, random(2, 3, 4, 5), random(2, 6, 4, 5, seed=1), random(2, 6, 4, 5, seed=2))


def test_padding_has_no_say_in_the_spatial_softmax() -> None:
    regions = random(2, 3, 4, 6)
    valid = torch.ones(2, 1, 4, 6, dtype=torch.bool)
    valid[..., 4:] = False
    density = spatial_softmax(regions, valid)
    assert bool((density[..., 4:] == 0).all())
    torch.testing.assert_close(density[..., :4], spatial_softmax(regions[..., :4]))
