"""Losses over valid pixels, shared by the tasks.

All are sums divided by the number of valid pixels (not by the sum of class weights). They are computed in at least
single precision. Without any valid pixel they are exactly 0, with a zero gradient.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from atrc.machine.tensors import full_precision
from atrc.tasks._base import IGNORE
from searchspace.errors import InputError

__all__ = ["cross_entropy", "expect_shape", "mean_over", "two_class_cross_entropy"]


def expect_shape(prediction: Tensor, label: Tensor) -> None:
    """Refuses different shapes, which PyTorch could broadcast into a loss over B x B pairs of images.

    Raises:
        InputError: The shapes differ.
    """
    if prediction.shape != label.shape:
        raise InputError(f"prediction {tuple(prediction.shape)} and label {tuple(label.shape)} differ in shape")


def mean_over(valid: Tensor, loss: Tensor) -> Tensor:
    """Returns the sum of ``loss`` over the valid pixels, divided by their number.

    Args:
        valid: ``(B, H, W)`` bool.
        loss: ``(B, H, W)``, finite everywhere, so that masked pixels pass no NaN into the gradient.
    """
    return torch.where(valid, loss, 0).sum() / valid.sum().clamp(min=1)


def cross_entropy(logits: Tensor, label: Tensor, weight: Tensor | None = None) -> Tensor:
    """Returns the class-weighted sum of the cross entropy, divided by the number of valid pixels.

    Args:
        logits: ``(B, C, H, W)``.
        label: ``(B, H, W)`` class indices or `IGNORE`.
        weight: ``(C,)``, optional.
    """
    label = label.long()
    valid = label != IGNORE
    total: Tensor = _CrossEntropy.apply(full_precision(logits), label.masked_fill(~valid, 0), valid, weight)
    return total / valid.sum().clamp(min=1)


class _CrossEntropy(torch.autograd.Function):
    """The weighted sum of the cross entropy over the valid pixels.

    The gradient, ``softmax - one-hot``, is made in the memory of the log-probabilities. Torch's own needs three maps
    of the size of the logits, and twice the time.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, label: Tensor, valid: Tensor, weight: Tensor | None) -> Tensor:
        counts = valid.to(logits.dtype) if weight is None else torch.where(valid, weight.to(logits.dtype)[label], 0)
        counts, label = counts.unsqueeze(1), label.unsqueeze(1)
        log_p = torch.log_softmax(logits, dim=1)
        # multiplied by 0, an infinite loss of an ignored pixel would be NaN
        total = -(log_p.gather(1, label).masked_fill(~valid.unsqueeze(1), 0) * counts).sum()
        if ctx.needs_input_grad[0]:
            slopes = log_p.exp_()
            slopes.scatter_add_(1, label, slopes.new_full((), -1).expand(label.shape))
            ctx.save_for_backward(slopes.mul_(counts))
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (slopes,) = ctx.saved_tensors
        return slopes.mul_(grad), None, None, None  # a second backward pass would be refused, by torch itself


def two_class_cross_entropy(logits: Tensor, label: Tensor, positive_weight: Tensor | float) -> Tensor:
    """Returns the sum of the cross entropy with class weights ``(1 - w, w)``, divided by the number of valid pixels.

    Args:
        logits: ``(B, 2, H, W)``.
        label: ``(B, H, W)`` 0, 1 or `IGNORE`.
        positive_weight: w, 0..1.
    """
    logits = full_precision(logits)
    if isinstance(positive_weight, Tensor):
        positive = positive_weight.to(logits)
    else:
        positive = logits.new_full((), positive_weight)  # filled on the device; a number would be copied there
    return cross_entropy(logits, label, torch.stack((1 - positive, positive)))
