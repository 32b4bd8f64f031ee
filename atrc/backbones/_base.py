"""The interface of a backbone, which turns an image into four feature maps.

The heads use only this interface, so a user's own backbone needs no other change
(`atrc.backbones.BACKBONES`, or the entry-point group ``atrc.backbones``).

Shapes: B batch, H x W pixels, C_s channels at scale s.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from atrc.resizing import resize
from searchspace.errors import InputError
from searchspace.paths import PathOptions
from searchspace.registry import Registry

__all__ = [
    "BACKBONES",
    "Backbone",
    "Cut",
    "Maps",
    "Pyramid",
    "Stage",
    "check_image",
    "deeper",
    "stack_scales",
]

BACKBONES: Registry[Callable[..., Backbone]] = Registry("backbone", "atrc.backbones")

SMALLEST_IMAGE = 32


Maps = list[Tensor]
Cut = tuple[Callable[[Any, Maps], Maps], tuple[str, ...]]


class Stage(nn.Module):
    """A part of a backbone. It turns the maps of the previous part (for the first: ``[image]``) into its own.

    Args:
        run: Function of (a module that holds the parts, the maps) that computes the stage.
        parts: Modules of the stage, under their names in the backbone.
    """

    counts_upsampling = True
    """For `atrc.costs`, as that of a backbone."""

    def __init__(self, run: Callable[[Any, Maps], Maps], parts: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self._run = run
        for name, part in parts.items():
            _put(self, name.split("."), part)

    def forward(self, maps: Maps) -> Maps:
        return self._run(self, maps)


def _put(module: nn.Module, path: Sequence[str], part: nn.Module) -> None:
    """Makes ``part`` the submodule at a path, and creates the containers on the way."""
    *containers, name = path
    for container in containers:
        if container not in module._modules:
            module.add_module(container, nn.ModuleDict())
        module = module.get_submodule(container)
    module.add_module(name, part)


def deeper(stage: str) -> Cut:
    """Returns the cut of a stage that reads the deepest map so far and adds its own."""

    def run(net: Any, maps: Maps) -> Maps:
        return [*maps, net.get_submodule(stage)(maps[-1])]

    return run, (stage,)


class Backbone(nn.Module, PathOptions, ABC):
    """A network from an image to four feature maps, the finest at stride 4.

    Attributes:
        cuts: Stages at which it can be branched (`atrc.backbones.BranchedBackbone`): for each the function, and the
            names of the modules that this takes from its first argument. In sequence they compute the backbone.
        name: Name of the backbone in messages.
        channels: C_s of the four maps, finest first.
        strides: Pixels of the image per pixel of each map, finest first.
    """

    name: str = "backbone"
    strides: tuple[int, ...] = (4, 8, 16, 32)
    channels: tuple[int, ...]
    cuts: ClassVar[tuple[Cut, ...]] = ()
    counts_upsampling = True
    """For `atrc.costs`: the upsampling inside a backbone counts, as in the paper's columns."""

    def cut(self) -> list[Stage]:
        """Splits the backbone into stages, which share its modules.

        Raises:
            InputError: The backbone has no `cuts`.
        """
        if not self.cuts:
            raise InputError(f"the backbone {self.name!r} does not say where it can be branched (its `cuts`)")
        return [Stage(run, {name: self.get_submodule(name) for name in names}) for run, names in self.cuts]

    def run_stages(self, image: Tensor) -> Maps:
        """Computes `forward` stage by stage."""
        maps = [image]
        for run, _ in self.cuts:
            maps = run(self, maps)
        return maps

    def grid(self, size: tuple[int, int]) -> tuple[int, int]:
        """Returns ``(h, w)`` of the finest map for images of ``size`` = (H, W): the grid that contexts work on."""
        height, width = (-(-side // self.strides[0]) for side in size)
        return height, width

    @abstractmethod
    def forward(self, image: Tensor) -> list[Tensor] | dict[str, list[Tensor]]:
        """Returns the four feature maps of a batch of images, finest first.

        Args:
            image: ``(B, 3, H, W)``, RGB, normalised; any H, W >= 32, odd sizes too.

        Returns:
            ``(B, C_s, ceil(H / s), ceil(W / s))`` for s in `strides`. With the usual strides, 425 x 560 gives 107 x
            140, 54 x 70, 27 x 35 and 14 x 18. A backbone with separate maps per task returns task -> such a list.

        Raises:
            InputError: The image has another shape.
        """


def check_image(image: Tensor) -> None:
    """Raises `InputError` unless ``image`` is ``(B, 3, H, W)`` with H, W >= 32."""
    if image.ndim != 4 or image.shape[1] != 3 or min(image.shape[2:]) < SMALLEST_IMAGE:
        raise InputError(
            f"a backbone takes images (B, 3, H, W) with H, W >= {SMALLEST_IMAGE}, but got {tuple(image.shape)}"
        )


def stack_scales(maps: Sequence[Tensor]) -> Tensor:
    """Joins all scales into one map: each is resized to the finest and concatenated (the input of an ATRC task head).

    Args:
        maps: ``(B, C_s, H_s, W_s)`` per scale, finest first.

    Returns:
        ``(B, sum of C_s, H_4, W_4)``.
    """
    size = maps[0].shape[-2:]
    return torch.cat([resize(x, size) for x in maps], dim=1)


class Pyramid:
    """The maps that the heads of a task read. They are stacked at most once, for all heads.

    Args:
        maps: ``(B, C_s, H_s, W_s)`` per scale, finest first.
    """

    def __init__(self, maps: Sequence[Tensor]) -> None:
        self.maps = tuple(maps)

    @cached_property
    def stacked(self) -> Tensor:
        """See `stack_scales`."""
        return stack_scales(self.maps)

    @cached_property
    def detached(self) -> Tensor:
        """The stacked maps without gradients, one channel after the other, as 1x1 convolutions read them fastest."""
        return self.stacked.detach().contiguous()
