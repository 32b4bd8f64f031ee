"""Local attention on a GPU against the definition in double precision: forms, types, borders, odd sizes.

``make gpu-check`` runs these tests; without a GPU they are skipped. Names with ``quick`` run when the check itself is
tried on a CPU.
"""

from __future__ import annotations

import pytest
import torch
from gpu_check.tested import DEVICE, NEEDS_DEVICE
from torch import Tensor

from atrc.contexts.local_attention import BORDERS, forms_on, local_attention

pytestmark = NEEDS_DEVICE

FORMS = [form for form in forms_on(DEVICE) if form != "unfold"]
KINDS = [torch.float32] if DEVICE.type == "cpu" else [torch.float32, torch.bfloat16, torch.float16]
NEAR = {torch.float32: 1e-5, torch.bfloat16: 4e-2, torch.float16: 1e-2}
"""Largest error relative to the largest number of the definition."""

Shape = tuple[int, int, int, int, int]  # B, d, e, H, W


def drawn(shape: Shape, kind: torch.dtype) -> list[Tensor]:
    """Queries, keys, values and a gradient of the result: numbers that every type holds."""
    B, d, e, H, W = shape
    generator = torch.Generator().manual_seed(0)
    made = [torch.randn(B, c, H, W, generator=generator) for c in (d, d, e, e)]
    return [x.bfloat16().to(DEVICE).to(kind) for x in made]


def results(form: str, inputs: list[Tensor], **options: object) -> list[Tensor]:
    """The output, and the gradients of queries, keys and values, in double precision."""
    leaves = [x.detach().requires_grad_() for x in inputs[:3]]
    out = local_attention(*leaves, form=form, **options)
    return [x.detach().double() for x in (out, *torch.autograd.grad(out, leaves, inputs[3]))]


def assert_near(got: list[Tensor], expected: list[Tensor], near: float) -> None:
    for name, ours, reference in zip(("out", "dq", "dk", "dv"), got, expected, strict=True):
        # with a window of one pixel, queries and keys have no gradient
        error = float((ours - reference).abs().max() / reference.abs().max().clamp(min=0.1))
        assert error <= near, f"{name} is off by {error:.2g} of the largest number"


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize(
    ("shape", "window"),
    [
        pytest.param((2, 5, 5, 9, 13), 9, id="quick"),
        ((1, 1, 1, 1, 1), 9),
        ((3, 16, 17, 8, 16), 1),
        ((2, 33, 33, 27, 35), 9),
        ((1, 90, 64, 41, 19), 5),
        ((1, 7, 100, 23, 30), 13),
    ],
)
@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("form", [form for form in FORMS if form != "flex"])
def test_is_the_definition(form: str, kind: torch.dtype, shape: Shape, window: int, border: str) -> None:
    """Channels below, at and above powers of two; images smaller than a window; windows of one tile and of many."""
    inputs = drawn(shape, kind)
    expected = results("unfold", [x.double() for x in inputs], window=window, border=border)
    assert_near(results(form, inputs, window=window, border=border), expected, NEAR[kind])


@pytest.mark.parametrize(
    ("kind", "shape", "border"),
    [
        (torch.float32, (2, 33, 33, 27, 35), "mask"),
        (torch.float32, (2, 33, 33, 27, 35), "zero"),
        (torch.bfloat16, (1, 64, 64, 41, 19), "zero"),
        (torch.float16, (1, 16, 16, 9, 13), "mask"),
    ],
    ids=str,
)
@pytest.mark.skipif("flex" not in FORMS, reason="FlexAttention is compiled on a GPU alone")
def test_flex_attention_is_the_definition(kind: torch.dtype, shape: Shape, border: str) -> None:
    """Few cases: each is compiled anew."""
    torch.compiler.reset()  # torch compiles a function a limited number of times
    inputs = drawn(shape, kind)
    expected = results("unfold", [x.double() for x in inputs], border=border)
    assert_near(results("flex", inputs, border=border), expected, max(NEAR[kind], 1e-4))


@pytest.mark.skipif("flex" not in FORMS, reason="FlexAttention is compiled on a GPU alone")
def test_flex_attention_at_a_second_size() -> None:
    """Without a reset, torch may compile for sizes that it does not know."""
    torch.compiler.reset()
    for shape in ((2, 33, 33, 27, 35), (2, 33, 33, 41, 19)):
        inputs = drawn(shape, torch.float32)
        expected = results("unfold", [x.double() for x in inputs], border="zero")
        assert_near(results("flex", inputs, border="zero"), expected, 1e-4)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_two_calls_give_the_same_bits(kind: torch.dtype) -> None:
    """No two programs of the kernel add to the same place."""
    inputs = drawn((4, 33, 33, 53, 70), kind)
    first, *others = (results("auto", inputs, border="zero") for _ in range(4))
    for other in others:
        assert all(torch.equal(one, two) for one, two in zip(first, other, strict=True))


def test_quick_views_and_orders() -> None:
    """Inputs that are no solid block of memory, and keys of other images."""
    wide = drawn((3, 12, 12, 14, 11), torch.float32)
    views = [x.transpose(2, 3)[:, ::2] for x in wide]
    order = torch.tensor([2, 0, 1], device=DEVICE)
    expected = results("unfold", [x.double() for x in views], window=5, order=order)
    assert_near(results("auto", views, window=5, order=order), expected, NEAR[torch.float32])


def test_quick_double_precision_is_computed_in_double_precision() -> None:
    inputs = drawn((1, 5, 3, 9, 13), torch.float64)
    assert_near(results("auto", inputs), results("unfold", inputs), 1e-12)


@pytest.mark.skipif(DEVICE.type == "cpu", reason="only the kernels of a GPU take several types")
def test_keys_and_values_of_another_type() -> None:
    """Mixed precision may bring queries in one type and values in another."""
    q, k, v, _ = drawn((1, 16, 16, 9, 13), torch.float32)
    out = local_attention(q.bfloat16(), k, v)
    expected = local_attention(q.double(), k.double(), v.double(), form="unfold")
    assert out.dtype == torch.bfloat16
    assert float((out.double() - expected).abs().max() / expected.abs().max()) < NEAR[torch.bfloat16]


@pytest.mark.skipif(DEVICE.type == "cpu", reason="a CPU has no streams")
def test_on_a_stream_of_its_own() -> None:
    """The kernels run on the current stream, after what was put there before."""
    inputs = drawn((2, 33, 33, 53, 70), torch.float32)
    expected = results("auto", inputs)
    torch.cuda.synchronize(DEVICE)
    stream = torch.cuda.Stream(DEVICE)
    with torch.cuda.stream(stream):
        got = results("auto", [x * 1 for x in inputs])
    stream.synchronize()
    assert all(torch.equal(one, two) for one, two in zip(got, expected, strict=True))


@pytest.mark.skipif(DEVICE.type == "cpu", reason="a CPU has a kernel of its own")
def test_triton_is_what_a_gpu_takes() -> None:
    pytest.importorskip("triton")
    inputs = drawn((2, 33, 33, 27, 35), torch.float32)
    pairs = zip(results("auto", inputs), results("triton", inputs), strict=True)
    assert all(torch.equal(one, two) for one, two in pairs)
