"""Predictions at the size of labels, to which they are enlarged bilinearly."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from atrc.machine.kernels import compiled, compiles
from atrc.machine.tensors import full_precision
from atrc.machine.threads import side_by_side

__all__ = ["enlarged", "largest_classes", "largest_classes_plainly", "places"]

_KERNEL = Path(__file__).with_name("class_map.c")


def enlarged(prediction: Tensor, size: tuple[int, ...]) -> Tensor:
    """Resizes ``(B, C, h, w)`` bilinearly to ``size`` (H, W), in single precision or better."""
    prediction = full_precision(prediction)
    # one by one, since torch enlarges three channels in a way of its own, which takes twice the time on a CPU
    maps = functional.interpolate(prediction.flatten(0, 1)[:, None], size, mode="bilinear", align_corners=False)
    return maps.unflatten(0, prediction.shape[:2])[:, :, 0]


def largest_classes(prediction: Tensor, size: tuple[int, ...]) -> Tensor:
    """Returns the largest class of every pixel of an enlarged map.

    On a CPU a kernel in C computes them without the enlarged map, which has as many channels as classes. It rounds as
    torch does on the machines that were tried. Elsewhere, if two classes are equal but for rounding, either may win.

    Args:
        prediction: ``(B, C, h, w)`` logits.
        size: H and W of the result.

    Returns:
        ``(B, H, W)`` int64. Of equal classes it is the first; NaN counts as largest.
    """
    takes = prediction.device.type == "cpu" and prediction.dtype != torch.float64 and prediction.numel() > 0
    if not takes or not compiles(_KERNEL):
        return largest_classes_plainly(prediction, size)
    return _run(prediction.detach().float().contiguous(), (int(size[0]), int(size[1])))


def largest_classes_plainly(prediction: Tensor, size: tuple[int, ...]) -> Tensor:
    """Computes `largest_classes` with torch only."""
    return enlarged(prediction, size).max(1).indices  # on a CPU nine times as fast as argmax


def _run(maps: Tensor, size: tuple[int, int]) -> Tensor:
    _, classes, *small = maps.shape
    found = torch.empty(len(maps), *size, dtype=torch.int64)
    sizes = [ctypes.c_int64(number) for number in (classes, *small, *size)]
    between = [each for few, many in zip(small, size, strict=True) for each in places(few, many)]
    shared = [ctypes.c_void_p(each.data_ptr()) for each in between]
    function = compiled(_KERNEL).largest_classes

    def one(index: int) -> int:
        read, written = (ctypes.c_void_p(of[index].data_ptr()) for of in (maps, found))
        status: int = function(*sizes, read, *shared, written)
        return status

    statuses = side_by_side(one, range(len(maps)))
    if any(statuses):
        raise MemoryError("not enough memory for the rows of an enlarged map")
    return found


@lru_cache(maxsize=64)
def places(few: int, many: int) -> tuple[Tensor, Tensor, Tensor]:
    """Returns between which two of ``few`` pixels each of ``many`` lies, and the weight of the second, as torch does.

    The first two are int32, the weights float32, all ``(many,)``.

    Centres of pixels correspond, and pixels outside are those of the border.
    """
    single = np.float32
    centre = (np.arange(many, dtype=single) + single(0.5)) * (single(few) / single(many)) - single(0.5)
    centre = np.maximum(centre, single(0))
    first = np.minimum(centre.astype(np.int32), few - 1)
    weight = np.clip(centre - first.astype(single), 0, 1).astype(single)
    second = np.minimum(first + 1, few - 1).astype(np.int32)
    return torch.from_numpy(first), torch.from_numpy(second), torch.from_numpy(weight)
