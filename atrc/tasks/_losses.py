"""Losses over valid pixels, shared by the tasks.

All are sums divided by the number of valid pixels (not by the sum of class weights). They are computed in at least
single precision. Without any valid pixel they are exactly 0, with a zero gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from atrc.machine.kernels import compiles, run_kernel
from atrc.machine.tensors import full_precision
from atrc.resizing import resize
from atrc.tasks._base import IGNORE
from atrc.tasks._enlarged import places
from searchspace.errors import InputError

__all__ = ["any_size", "cross_entropy", "expect_shape", "loss_at", "mean_over", "two_class_cross_entropy"]

_KERNEL = Path(__file__).with_name("cross_entropy.c")
Loss = TypeVar("Loss", bound=Callable[..., Tensor])


def any_size(loss: Loss) -> Loss:
    """Marks a loss of a task that takes predictions of any size, as `cross_entropy` does."""
    loss.any_size = True  # type: ignore[attr-defined]
    return loss


def loss_at(loss: Callable[[Tensor, Tensor], Tensor], prediction: Tensor, label: Tensor) -> Tensor:
    """Returns a loss of a prediction that is enlarged bilinearly to the label's size.

    Args:
        loss: `Task.loss` or `Task.aux_loss` of a task. One that is marked by `any_size` gets the prediction as it is.
        prediction: ``(B, C, h, w)``.
        label: ``(B, H, W)`` or ``(B, D, H, W)``.
    """
    # what a loss needs is done on the small map: single precision, and one channel after the other
    prediction = full_precision(prediction).contiguous()
    if not getattr(loss, "any_size", False):
        prediction = resize(prediction, label.shape[-2:])
    return loss(prediction, label)


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
        logits: ``(B, C, h, w)``, which are enlarged bilinearly if they are not of the label's size. On a CPU a kernel
            in C computes loss and gradient without the enlarged map.
        label: ``(B, H, W)`` class indices or `IGNORE`.
        weight: ``(C,)``, optional.

    Raises:
        IndexError: A label is no class.
    """
    label = label.long()
    valid = label != IGNORE
    logits = full_precision(logits)
    if logits.shape[-2:] != label.shape[-2:] and _kernel_takes(logits):
        total: Tensor = _EnlargedCrossEntropy.apply(logits, label, weight)
    else:
        enlarged = resize(logits, label.shape[-2:])
        total = _CrossEntropy.apply(enlarged, label.masked_fill(~valid, 0), valid, weight)
    return total / valid.sum().clamp(min=1)


def _kernel_takes(logits: Tensor) -> bool:
    fits = logits.device.type == "cpu" and logits.dtype is torch.float32 and logits.numel() > 0
    return fits and not torch.compiler.is_compiling() and compiles(_KERNEL)


class _EnlargedCrossEntropy(torch.autograd.Function):
    """The weighted sum of the cross entropy of an enlarged map over the valid pixels, by the kernel.

    The gradient by the small map is computed together with the sum.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, label: Tensor, weight: Tensor | None) -> Tensor:
        logits, label = logits.contiguous(), label.contiguous()
        (images, *small), size = logits.shape, label.shape[-2:]
        slopes = torch.empty_like(logits) if ctx.needs_input_grad[0] else None
        totals, wrong = torch.empty(images, dtype=torch.double), torch.empty(images, dtype=torch.long)
        between = [each for few, many in zip(small[1:], size, strict=True) for each in places(few, many)]
        weight = None if weight is None else weight.to(logits.dtype).contiguous()
        threads = min(images, torch.get_num_threads())
        sizes = images, *small, *size, IGNORE
        run_kernel(
            _KERNEL,
            "enlarged_cross_entropy",
            threads,
            sizes,
            (logits, label, weight, *between, totals, slopes, wrong),
        )
        if wrong.any():
            raise IndexError(f"a label is neither a class, 0..{small[0] - 1}, nor {IGNORE}")
        ctx.save_for_backward(slopes)
        return totals.sum().to(logits.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (slopes,) = ctx.saved_tensors
        return slopes * grad, None, None


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
        logits: ``(B, 2, h, w)``, see `cross_entropy`.
        label: ``(B, H, W)`` 0, 1 or `IGNORE`.
        positive_weight: w, 0..1.
    """
    logits = full_precision(logits)
    if isinstance(positive_weight, Tensor):
        positive = positive_weight.to(logits)
    else:
        positive = logits.new_full((), positive_weight)  # filled on the device; a number would be copied there
    return cross_entropy(logits, label, torch.stack((1 - positive, positive)))
