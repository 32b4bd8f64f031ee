"""Counts parameters and multiply-adds of a network (Table 1 and Fig. 5) without computing anything.

The network runs on torch's ``meta`` device, where tensors have shapes and no values, and
`atrc.costs._operations` counts. Multiply-adds are counted as the paper's resource columns are: every convolution and
matrix product (those of the attentions included), one per bias element, two per element of a batch norm, one per
element of a ReLU, and one per element that the backbone upsamples (not the stacking of its four maps).

The counter knows no class of this project. It uses these methods and attributes if they exist:

- ``parts()`` of a network: the name of a part -> its modules;
- ``reference_form()`` of a module: changes the module to the form that defines it, which is the form to count;
- ``counts_upsampling`` of a module: True if the upsampling inside the module counts.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from atrc.costs._operations import Operations, per_element
from searchspace import Selection

__all__ = ["Counter", "Resources", "count_module", "count_multiply_adds", "count_parameters"]


@dataclass(frozen=True)
class Resources:
    """Costs of a network.

    Attributes:
        parameters: Number of learned parameters.
        multiply_adds: Multiply-adds for one image.
    """

    parameters: int
    multiply_adds: int

    def __add__(self, other: Resources) -> Resources:
        return Resources(self.parameters + other.parameters, self.multiply_adds + other.multiply_adds)


def count_parameters(module: nn.Module) -> int:
    """Returns the number of learned parameters."""
    return sum(p.numel() for p in module.parameters())


def count_multiply_adds(network: nn.Module, size: tuple[int, int], selection: Selection | None = None) -> int:
    """Returns the multiply-adds of a network; see `Counter.multiply_adds`."""
    return Counter(size).multiply_adds(network, selection)


class Counter:
    """Counts networks for one image. A backbone that several networks share is counted once, since it takes longest.

    Args:
        size: (H, W) of the image.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.image = torch.empty(1, 3, *size, device="meta")
        self._ghosts: dict[nn.Module, nn.Module] = {}
        self._known: dict[nn.Module, tuple[int, Any]] = {}

    def multiply_adds(self, network: nn.Module, selection: Selection | None = None) -> int:
        """Returns the multiply-adds in evaluation mode, up to the predictions on the stride-4 grid.

        Args:
            network: The network.
            selection: Active options, for a supernet.
        """
        return sum(self._run(network, selection).values())

    def parts(self, network: Any, selection: Selection | None = None) -> dict[str, Resources]:
        """Returns the costs of the parts of a network. Their sum is the cost of the network.

        Nothing counts twice: a parameter counts in the first part that has it, an operation in the part of the
        innermost module that is called.

        Args:
            network: The network.
            selection: Active options, for a supernet.

        Returns:
            Name of a part -> its costs. The name ``other`` is for costs outside all parts, if there are any.
        """
        multiply_adds = self._run(network, selection)
        part_of = _parts_of(network)
        parameters = dict.fromkeys((*network.parts(), OTHER), 0)
        counted: set[nn.Parameter] = set()
        for module in (*part_of, *network.modules()):
            for parameter in module.parameters(recurse=False):
                if parameter not in counted:
                    counted.add(parameter)
                    parameters[part_of.get(module, OTHER)] += parameter.numel()
        parts = {part: Resources(parameters[part], multiply_adds.get(part, 0)) for part in parameters}
        if parts[OTHER] == Resources(0, 0):
            del parts[OTHER]
        return parts

    def _run(self, network: Any, selection: Selection | None) -> dict[str, int]:
        """Returns part -> multiply-adds."""
        backbone = network.backbone
        if backbone not in self._ghosts:
            self._ghosts[backbone] = _ghost(backbone)
        shared = self._ghosts[backbone]
        ghost = _ghost(network, {id(backbone): shared})
        tally = _Tally(_parts_of(ghost))
        computed = shared.forward

        def remembered(*arguments: Any, **named: Any) -> Any:
            """Returns the maps of the image, computed once. Other calls of the backbone are computed."""
            if named or len(arguments) != 1 or arguments[0].shape != self.image.shape:
                return computed(*arguments, **named)
            if backbone not in self._known:
                before = tally.of("backbone")
                maps = computed(*arguments)
                self._known[backbone] = tally.of("backbone") - before, maps
            else:
                tally.add("backbone", self._known[backbone][0])
            return self._known[backbone][1]

        shared.forward = remembered
        try:
            return tally.run(ghost, (self.image,) if selection is None else (self.image, selection))
        finally:
            shared.forward = computed


OTHER = "other"
"""The part of everything that belongs to no other part."""


def _parts_of(network: Any) -> dict[nn.Module, str]:
    """Returns module -> part, for the modules that lie in parts: the innermost part, and the first of several."""
    parts = network.parts()
    inside = {part: [one for root in roots for one in root.modules()] for part, roots in parts.items()}

    def outermost(part: str) -> bool:
        return not any(root in inside[other] for other in inside if other != part for root in parts[part])

    found: dict[nn.Module, str] = {}
    for part in sorted(inside, key=outermost):  # a stable order: inner parts come first
        for module in inside[part]:
            found.setdefault(module, part)
    return found


class _Tally:
    """A count of operations per part while a network runs. The innermost called module decides the part.

    Args:
        part_of: Module -> part, for the modules that lie in a part.
    """

    def __init__(self, part_of: Mapping[nn.Module, str]) -> None:
        self._part_of = part_of
        self._inside = [OTHER]
        self._upsampled = [False]
        self._of: dict[str, int] = {}
        self._given = 0
        self._counter = Operations(self._upsampling())

    def of(self, part: str) -> int:
        """Returns the multiply-adds of a part so far."""
        self._give()
        return self._of.get(part, 0)

    def add(self, part: str, multiply_adds: int) -> None:
        """Adds multiply-adds to a part."""
        self._of[part] = self._of.get(part, 0) + multiply_adds

    def run(self, ghost: nn.Module, inputs: Sequence[Any]) -> dict[str, int]:
        """Returns part -> multiply-adds of a call."""
        hooks = [
            register_module_forward_pre_hook(lambda module, _: self._enter(module)),
            register_module_forward_hook(lambda *_: self._leave()),
        ]
        try:
            with torch.no_grad(), self._counter:
                ghost(*inputs)
        finally:
            for hook in hooks:
                hook.remove()
        self._give()
        return self._of

    def _enter(self, module: nn.Module) -> None:
        self._give()
        self._inside.append(self._part_of.get(module, self._inside[-1]))
        self._upsampled.append(self._upsampled[-1] or getattr(module, "counts_upsampling", False))

    def _leave(self) -> None:
        self._give()
        self._inside.pop()
        self._upsampled.pop()

    def _give(self) -> None:
        """Adds the operations since the last call to the part that is being computed."""
        total = self._counter.number // 2
        self.add(self._inside[-1], total - self._given)
        self._given = total

    def _upsampling(self) -> dict[Any, Any]:
        """Returns counters of upsampling, which count inside modules with ``counts_upsampling`` alone."""

        def count(*_: Any, out_val: Any, **__: Any) -> int:
            return per_element(out_val=out_val) if self._upsampled[-1] else 0

        return dict.fromkeys((torch.ops.aten.upsample_bilinear2d, torch.ops.aten.upsample_nearest2d), count)


def count_module(module: nn.Module, inputs: Sequence[Any]) -> Resources:
    """Returns the costs of a module, called with ``inputs`` on the meta device in evaluation mode."""
    return Resources(count_parameters(module), sum(_Tally({}).run(_ghost(module), inputs).values()))


def _ghost(network: nn.Module, instead: Mapping[int, nn.Module] | None = None) -> nn.Module:
    """Returns a copy on the meta device, in reference forms. ``instead`` maps ids of modules to their stand-ins."""
    ghost: nn.Module = copy.deepcopy(network, dict(instead or {})).to("meta").eval()
    for module in ghost.modules():
        # Other forms do more (they multiply pairs that they then mask) or less (fused ones have no batch norms).
        reference_form: Any = getattr(module, "reference_form", None)
        if reference_form is not None:
            reference_form()
        elif type(module) is nn.BatchNorm2d:
            module.forward = torch.ops.atrc.norm  # type: ignore[method-assign]
    return ghost
