"""Counts the floating-point operations of tensors on the meta device. A multiply-add is two of them.

torch's ``FlopCounterMode`` gives the same numbers for products and convolutions. But it imports the compiler
(`torch._dynamo`), which takes more than a second, and so do many operations whose shapes torch finds in Python.
Others import sympy, and torch's formulas Triton. The operations of our networks are therefore not passed on to torch.
A network with others is counted as well, after that second.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

__all__ = ["Operations", "per_element"]

Formula = Callable[..., int]


class Operations(TorchDispatchMode):
    """A context in which operations of tensors on the meta device are counted.

    Args:
        formulas: Operation -> its number of floating-point operations, a function of its arguments and of its result
            ``out_val``; in addition to those of this module.

    Attributes:
        number: The number of floating-point operations so far.
    """

    def __init__(self, formulas: Mapping[Any, Formula]) -> None:
        super().__init__()
        self.number = 0
        self._formulas = {**_FORMULAS, **formulas}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Tells torch that it need not keep the compiler out of this class, which would import it."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        formula = self._formulas.get(func.overloadpacket)
        if formula is None:
            with self:  # an operation that is made of others is counted by them
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
            if not (func in _FREE or func.is_view or torch.Tag.pointwise in func.tags):
                formula = _formulas_of_torch().get(func.overloadpacket)
        if func in _RESULTS:
            result = _RESULTS[func](*args, **kwargs)
        elif torch.Tag.pointwise in func.tags and not (func._schema.is_mutable or _RANDOM in func.tags):
            result = _pointwise(func, args, kwargs)
        else:
            result = func(*args, **kwargs)
        if formula is not None:
            self.number += formula(*args, **kwargs, out_val=result)
        return result


def per_element(*_: Any, out_val: Tensor, **__: Any) -> int:
    """Returns the floating-point operations of a multiply-add for each element of the result."""
    return 2 * out_val.numel()


def _formulas_of_torch() -> dict[Any, Formula]:
    from torch.utils.flop_counter import flop_registry

    return flop_registry


def _convolution(x: Tensor, weight: Tensor, bias: Tensor | None, *more: Any, out_val: Tensor, **_: Any) -> int:
    transposed = more[3]
    places = x[0, 0].numel() if transposed else out_val[0, 0].numel()
    return 2 * len(x) * places * weight.numel() + (2 * out_val.numel() if bias is not None else 0)


def _products(left: Tensor, _: Tensor, *, out_val: Tensor) -> int:
    return 2 * left.shape[-1] * out_val.numel()


def _added_products(_: Tensor, left: Tensor, right: Tensor, *, out_val: Tensor, **__: Any) -> int:
    return _products(left, right, out_val=out_val)


def _batch_norm(x: Tensor, *_: Any, **__: Any) -> int:
    return 2 * 2 * x.numel()


def _pointwise(func: Any, args: Any, kwargs: Any) -> Tensor:
    """Returns the result of an operation on every element. One element is computed, which shows its type."""
    operands = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
    ones = tree_map_only(Tensor, lambda x: torch.ones([1] * x.ndim, dtype=x.dtype, device="cpu"), (args, kwargs))
    dtype = func(*ones[0], **ones[1]).dtype
    shape = np.broadcast_shapes(*(one.shape for one in operands))  # torch's own function imports sympy
    return operands[0].new_empty(shape, dtype=dtype)


def _alike(x: Tensor, *_: Any, **__: Any) -> Tensor:
    return x.new_empty(x.shape)


def _product(left: Tensor, right: Tensor) -> Tensor:
    return left.new_empty((*left.shape[:-1], right.shape[-1]))


def _sum(_: Tensor, left: Tensor, right: Tensor, **__: Any) -> Tensor:
    return _product(left, right)


def _convolved(x: Tensor, weight: Tensor, _: Any, stride: Any, padding: Any, dilation: Any, *more: Any) -> Tensor:
    transposed, around, groups = more
    sides = zip(x.shape[2:], weight.shape[2:], stride, padding, dilation, around, strict=True)
    if transposed:
        shape = [(side - 1) * step - 2 * pad + gap * (k - 1) + add + 1 for side, k, step, pad, gap, add in sides]
        return x.new_empty((x.shape[0], weight.shape[1] * groups, *shape))
    shape = [(side + 2 * pad - gap * (k - 1) - 1) // step + 1 for side, k, step, pad, gap, _ in sides]
    return x.new_empty((x.shape[0], weight.shape[0], *shape))


def _upsampled(x: Tensor, size: Sequence[int], *_: Any) -> Tensor:
    return x.new_empty((*x.shape[:2], *size))


def _joined(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    shape = list(tensors[0].shape)
    shape[dim] = sum(one.shape[dim] for one in tensors)
    return tensors[0].new_empty(shape)


def _reduced(x: Tensor, dim: Sequence[int] | None, keepdim: bool = False, **_: Any) -> Tensor:
    gone = range(x.ndim) if not dim else [axis % x.ndim for axis in dim]
    return x.new_empty(
        [1 if axis in gone else x.shape[axis] for axis in range(x.ndim) if keepdim or axis not in gone]
    )


def _unfolded(x: Tensor, kernel: Sequence[int], dilation: Any, padding: Any, stride: Any) -> Tensor:
    sides = zip(x.shape[-2:], kernel, dilation, padding, stride, strict=True)
    places = math.prod((side + 2 * pad - gap * (k - 1) - 1) // step + 1 for side, k, gap, pad, step in sides)
    return x.new_empty((*x.shape[:-3], x.shape[-3] * math.prod(kernel), places))


# Stands for a batch norm, which takes torch 4 ms on the meta device. It does nothing but is counted.
_LIBRARY = torch.library.Library("atrc", "DEF")
_LIBRARY.define("norm(Tensor x) -> Tensor")
_LIBRARY.impl("norm", lambda x: x.new_empty(x.shape), "Meta")


_RANDOM = torch.Tag.nondeterministic_seeded
aten = torch.ops.aten
_FORMULAS: dict[Any, Formula] = {
    aten.addmm: _added_products,
    aten.baddbmm: _added_products,
    aten.bmm: _products,
    aten.convolution: _convolution,
    aten.mm: _products,
    torch.ops.atrc.norm: _batch_norm,
    aten._native_batch_norm_legit_no_training: _batch_norm,
    aten.native_batch_norm: _batch_norm,
    aten.relu: per_element,
    aten.relu_: per_element,
}
_RESULTS: dict[Any, Callable[..., Tensor]] = {
    aten._softmax.default: _alike,
    aten.addmm.default: _sum,
    aten.bmm.default: _product,
    aten.convolution.default: _convolved,
    aten.cat.default: _joined,
    aten.im2col.default: _unfolded,
    aten.mean.dim: _reduced,
    aten.mm.default: _product,
    aten.ones_like.default: _alike,
    aten.sum.dim_IntList: _reduced,
    aten.upsample_bilinear2d.default: _upsampled,
    aten.zeros_like.default: _alike,
}
"""Operation -> a function that returns a tensor of the shape of its result."""
_FREE = {
    *_RESULTS,
    aten._unsafe_view.default,
    aten.avg_pool2d.default,
    aten.max_pool2d_with_indices.default,
    aten.new_zeros.default,
}
"""Operations that do not count, apart from those on elements and views."""
