"""Parameters and multiply-adds of a network (Table 1 and Fig. 5), counted without computing anything.

The network runs on torch's ``meta`` device, where tensors have shapes and no values, under torch's own operation
counter. Multiply-adds are counted as the paper's resource columns are: every convolution and matrix product (those of
the attentions included), one per bias element, two per element of a batch norm, one per element of a ReLU, and one
per element that the backbone upsamples (not the stacking of its four maps).
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from atrc.backbones import Backbone, BranchedBackbone, Stage
from atrc.contexts import LocalContext
from atrc.distillation import ATRC, PSD, Supergraph
from atrc.network import MultiTaskNetwork, SearchNetwork
from searchspace import Selection

__all__ = ["Counter", "Resources", "count_module", "count_multiply_adds", "count_parameters"]


@dataclass(frozen=True)
class Resources:
    """What a network costs.

    Attributes:
        parameters: Learned numbers.
        multiply_adds: For one image.
    """

    parameters: int
    multiply_adds: int

    def __add__(self, other: Resources) -> Resources:
        return Resources(self.parameters + other.parameters, self.multiply_adds + other.multiply_adds)


def count_parameters(module: nn.Module) -> int:
    """Number of learned parameters."""
    return sum(p.numel() for p in module.parameters())


def count_multiply_adds(
    network: MultiTaskNetwork | SearchNetwork, size: tuple[int, int], selection: Selection | None = None
) -> int:
    """See `Counter.multiply_adds`."""
    return Counter(size).multiply_adds(network, selection)


class Counter:
    """Counts networks for one image. A backbone that several of them share is counted once, since it takes longest.

    Args:
        size: (H, W) of the image.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.image = torch.empty(1, 3, *size, device="meta")
        self._backbones: dict[nn.Module, tuple[int, Any]] = {}

    def multiply_adds(self, network: MultiTaskNetwork | SearchNetwork, selection: Selection | None = None) -> int:
        """Multiply-adds in evaluation mode, up to the predictions on the stride-4 grid.

        Args:
            network: The network.
            selection: For a supernet: what runs.
        """
        of_backbone, of_rest = self._run(network, selection)
        return of_backbone + of_rest.get_total_flops() // 2

    def parts(
        self, network: MultiTaskNetwork | SearchNetwork, selection: Selection | None = None
    ) -> dict[str, Resources]:
        """What the parts of a network cost; together that is all of it.

        Args:
            network: The network.
            selection: For a supernet: what runs.

        Returns:
            ``backbone``, ``neck`` (where there is one), ``heads`` (with the final predictions), ``aux`` (the
            auxiliary heads), ``blocks`` (the distillation but for) ``fuse`` (what joins the blocks of a row).
        """
        of_backbone, of_rest = self._run(network, selection)
        counted = {name: sum(of.values()) // 2 for name, of in of_rest.get_flop_counts().items()}

        def cost(*paths: str) -> Resources:
            """Of modules, and of what lies in containers, which are never called."""
            of_modules = [network.get_submodule(path) for path in paths if _has(network, path)]
            pattern = re.compile(rf"{type(network).__name__}\.({'|'.join(map(re.escape, paths))})(\.\w+)?")
            inside = {name for name in counted if pattern.fullmatch(name)}
            outermost = [name for name in inside if name.rpartition(".")[0] not in inside]
            return Resources(sum(map(count_parameters, of_modules)), sum(counted[name] for name in outermost))

        whole, fuse = cost("distillation", "supergraph"), cost("distillation.rows", "supergraph.rows")
        blocks = Resources(whole.parameters - fuse.parameters, whole.multiply_adds - fuse.multiply_adds)
        parts = {
            "backbone": Resources(count_parameters(network.backbone), of_backbone),
            "neck": cost("neck"),
            "heads": cost("heads", "predict"),
            "aux": cost("auxiliary"),
            "blocks": blocks,
            "fuse": fuse,
        }
        return {name: of for name, of in parts.items() if name != "neck" or network.neck is not None}

    def _run(
        self, network: MultiTaskNetwork | SearchNetwork, selection: Selection | None
    ) -> tuple[int, FlopCounterMode]:
        """Multiply-adds of the backbone, and the counter of all that follows."""
        of_backbone, maps = self._backbone(network.backbone, selection)
        rest = _ghost(network, {id(network.backbone): _Given(maps)})
        arguments = (self.image,) if selection is None else (self.image, selection)
        return of_backbone, _count(rest, arguments, _COSTS)[0]

    def _backbone(self, backbone: Backbone | BranchedBackbone, selection: Selection | None) -> tuple[int, Any]:
        """Multiply-adds, and the maps."""
        searched = isinstance(backbone, BranchedBackbone) and selection is not None
        if searched or backbone not in self._backbones:
            arguments = (self.image, selection) if searched else (self.image,)
            counter, maps = _count(_ghost(backbone), arguments, _COSTS | _UPSAMPLING)
            self._backbones[backbone] = counter.get_total_flops() // 2, maps
        return self._backbones[backbone]


def _has(network: nn.Module, path: str) -> bool:
    try:
        return isinstance(network.get_submodule(path), nn.Module)
    except AttributeError:
        return False


class _Given(nn.Module):
    """Stands for a backbone whose maps are known."""

    def __init__(self, maps: Any) -> None:
        super().__init__()
        self.maps = maps

    def forward(self, image: Tensor, selection: Selection | None = None) -> Any:
        return self.maps


def _count(ghost: nn.Module, inputs: Sequence[Any], costs: dict[Any, Any]) -> tuple[FlopCounterMode, Any]:
    """The counter of a call, and what it gave."""
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=costs) as counter:
        found = ghost(*inputs)
    return counter, found


def count_module(module: nn.Module, inputs: Sequence[Any]) -> Resources:
    """What a part of a network costs, called with ``inputs`` on the meta device, in evaluation mode."""
    costs = _COSTS | _UPSAMPLING if isinstance(module, Backbone | Stage) else _COSTS
    return Resources(count_parameters(module), _count(_ghost(module), inputs, costs)[0].get_total_flops() // 2)


def _ghost(network: nn.Module, instead: Mapping[int, nn.Module] | None = None) -> nn.Module:
    """A copy that has shapes and no values, in the forms that are counted; ``instead``: part's id -> its stand-in."""
    ghost = copy.deepcopy(network, dict(instead or {})).to("meta").eval()
    for module in ghost.modules():
        # The forms that are counted are the definitions: other local attentions multiply pairs that they then mask,
        # and fused projections have no batch norms.
        if isinstance(module, LocalContext | PSD):
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


# The counter's unit is the floating-point operation, two of which are a multiply-add.


def _convolution(x: Any, weight: Any, bias: Any, *_: Any, out_shape: Any, **__: Any) -> int:
    return conv_flop_count(x, weight, out_shape) + (2 * math.prod(out_shape) if bias is not None else 0)


def _batch_norm(x: Any, *_: Any, **__: Any) -> int:
    return 2 * 2 * math.prod(x)


def _per_element(*_: Any, out_shape: Any, **__: Any) -> int:
    return 2 * math.prod(out_shape)


aten = torch.ops.aten
_COSTS = {
    aten.convolution: _convolution,
    torch.ops.atrc.norm: _batch_norm,
    aten._native_batch_norm_legit_no_training: _batch_norm,
    aten.native_batch_norm: _batch_norm,
    aten.relu: _per_element,
    aten.relu_: _per_element,
}
_UPSAMPLING = {aten.upsample_bilinear2d: _per_element, aten.upsample_nearest2d: _per_element}
