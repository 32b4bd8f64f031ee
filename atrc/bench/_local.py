"""``local``: forward and backward of local attention, in every form."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from atrc.bench._base import BENCHMARKS, Case, Setting
from atrc.contexts.local_attention import forms_on, local_attention

__all__ = ["local"]

WINDOW = 9


@BENCHMARKS.register("local")
def local(setting: Setting) -> Iterator[Case]:
    """Times local attention of 9 x 9 pixels, forward and backward, with 33 channels and batch 2 (HRNet18)."""
    batch, channels = 2, 33
    for height, width in [(16, 20)] if setting.quick else [(64, 80), (107, 140)]:
        inputs = [torch.randn(batch, channels, height, width, device=setting.device) for _ in range(4)]
        pixels = batch * height * width
        # Two products per pair in the forward pass. In the backward pass one again, and two gradients for each.
        flops = 2 * 7 * pixels * WINDOW**2 * channels
        contenders = {form: partial(_step, form, *inputs) for form in forms_on(setting.device)}
        yield Case(f"{height}x{width}", contenders, reference="unfold", flops=flops)


def _step(form: str, q: Tensor, k: Tensor, v: Tensor, cotangent: Tensor) -> list[Tensor]:
    leaves = [x.detach().requires_grad_() for x in (q, k, v)]
    out = local_attention(leaves[0], leaves[1], leaves[2], window=WINDOW, form=form)
    return list(torch.autograd.grad(out, leaves, cotangent))
