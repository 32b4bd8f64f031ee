"""Parameters and multiply-adds of a network (Table 1 and Fig. 5), counted without computing anything.

The network runs on torch's ``meta`` device, where tensors have shapes and no values, under torch's own operation
counter. Multiply-adds are counted as the paper's resource columns are: every convolution and matrix product (those of
the attentions included), one per bias element, two per element of a batch norm, one per element of a ReLU, and one
per element that the backbone upsamples (not the stacking of its four maps).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from atrc.contexts import LocalContext
from atrc.distillation import ATRC, Supergraph
from searchspace import Selection

__all__ = ["Resources", "count_module", "count_multiply_adds", "count_parameters", "count_resources"]


@dataclass(frozen=True)
class Resources:
    """What a network costs.

    Attributes:
        parameters: Learned numbers.
        multiply_adds: For one image.
    """

    parameters: int
    multiply_adds: int


def count_parameters(module: nn.Module) -> int:
    """Number of learned parameters."""
    return sum(p.numel() for p in module.parameters())


def count_multiply_adds(network: nn.Module, size: tuple[int, int], selection: Selection | None = None) -> int:
    """Multiply-adds of one image in evaluation mode, up to the predictions on the stride-4 grid.

    Args:
        network: A `MultiTaskNetwork`, or a `SearchNetwork` with a selection.
        size: (H, W) of the image.
        selection: For a supernet: what runs.
    """
    ghost = _ghost(network)
    image = torch.empty(1, 3, *size, device="meta")
    arguments = (image,) if selection is None else (image, selection)
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=_COSTS) as counter:
        ghost(*arguments)
    counts = counter.get_flop_counts()
    inside = counts.get(f"{type(ghost).__name__}.backbone", {})
    outside = sum(counts["Global"].get(op, 0) - inside.get(op, 0) for op in _UPSAMPLING)
    return (counter.get_total_flops() - outside) // 2


def count_module(module: nn.Module, inputs: Sequence[Any]) -> Resources:
    """What a part of a network costs, called with ``inputs`` on the meta device, in evaluation mode."""
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=_COSTS) as counter:
        _ghost(module)(*inputs)
    return Resources(count_parameters(module), counter.get_total_flops() // 2)


def _ghost(network: nn.Module) -> nn.Module:
    """A copy that has shapes and no values, in the forms that are counted."""
    ghost = copy.deepcopy(network).to("meta").eval()
    for module in ghost.modules():
        # The forms that are counted are the definitions: other local attentions multiply pairs that they then mask,
        # and fused projections have no batch norms.
        if isinstance(module, LocalContext):
            module.form = "unfold"
        elif isinstance(module, ATRC | Supergraph):
            module.fused = False
        elif type(module) is nn.BatchNorm2d:
            module.forward = torch.ops.atrc.norm  # type: ignore[method-assign]
    return ghost


# Stands for a batch norm, which takes torch 4 ms on the meta device: it is counted, and does nothing.
_LIBRARY = torch.library.Library("atrc", "DEF")
_LIBRARY.define("norm(Tensor x) -> Tensor")
_LIBRARY.impl("norm", lambda x: x.new_empty(x.shape), "Meta")


def count_resources(networks: Sequence[nn.Module], size: tuple[int, int]) -> Resources:
    """Summed over networks (the single-task baseline is one a task), each for one image of ``size`` (H, W)."""
    return Resources(
        sum(count_parameters(network) for network in networks),
        sum(count_multiply_adds(network, size) for network in networks),
    )


# The counter's unit is the floating-point operation, two of which are a multiply-add.


def _convolution(x: Any, weight: Any, bias: Any, *_: Any, out_shape: Any, **__: Any) -> int:
    return conv_flop_count(x, weight, out_shape) + (2 * math.prod(out_shape) if bias is not None else 0)


def _batch_norm(x: Any, *_: Any, **__: Any) -> int:
    return 2 * 2 * math.prod(x)


def _per_element(*_: Any, out_shape: Any, **__: Any) -> int:
    return 2 * math.prod(out_shape)


aten = torch.ops.aten
_UPSAMPLING = (aten.upsample_bilinear2d, aten.upsample_nearest2d)
_COSTS = {
    aten.convolution: _convolution,
    torch.ops.atrc.norm: _batch_norm,
    aten._native_batch_norm_legit_no_training: _batch_norm,
    aten.native_batch_norm: _batch_norm,
    aten.relu: _per_element,
    aten.relu_: _per_element,
    **dict.fromkeys(_UPSAMPLING, _per_element),
}
