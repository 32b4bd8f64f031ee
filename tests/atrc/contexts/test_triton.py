"""The GPU's form of local attention against the definition: on a GPU where there is one, else interpreted."""

from __future__ import annotations

import pytest
import torch

from atrc.contexts.local_attention import BORDERS, forms_on, local_attention

pytest.importorskip("triton", reason="triton is not installed: pip install triton")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def outputs_and_gradients(form: str, kind: torch.dtype, window: int, border: str, e: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(2, 5, 9, 13), (2, 5, 9, 13), (2, e, 9, 13), (2, e, 9, 13)]
    drawn = [torch.randn(shape, generator=generator, dtype=torch.float64).to(DEVICE) for shape in shapes]
    *leaves, cotangent = (x.bfloat16().to(kind) for x in drawn)  # the same numbers in every type
    for leaf in leaves:
        leaf.requires_grad_()
    out = local_attention(*leaves, window=window, border=border, form=form)
    return [x.double() for x in (out, *torch.autograd.grad(out, leaves, cotangent))]


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize(("window", "e"), [(1, 3), (5, 17), (9, 5), (13, 5)])
def test_is_the_definition(window: int, e: int, border: str) -> None:
    """Windows within a tile, of two tiles and of many; channels below and above a power of two."""
    got = outputs_and_gradients("triton", torch.float32, window, border, e)
    expected = outputs_and_gradients("unfold", torch.float32, window, border, e)
    for ours, reference in zip(got, expected, strict=True):
        torch.testing.assert_close(ours, reference, rtol=1e-5, atol=1e-5 * reference.abs().max().item())


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_is_as_near_as_its_digits(kind: torch.dtype, border: str) -> None:
    if kind == torch.bfloat16 and DEVICE == "cpu":
        pytest.skip("triton's interpreter multiplies no bfloat16")
    got = outputs_and_gradients("triton", kind, 9, border, 5)
    expected = outputs_and_gradients("unfold", torch.float32, 9, border, 5)
    for ours, reference in zip(got, expected, strict=True):
        torch.testing.assert_close(ours, reference, rtol=0.02, atol=0.02 * reference.abs().max().item())


def test_is_what_a_gpu_takes_first() -> None:
    assert forms_on(torch.device("cuda"))[0] == "triton"
