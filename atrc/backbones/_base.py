"""What a backbone is: an image in, four feature maps out.

The heads know only this interface, so a user's own backbone needs no other change
(`atrc.backbones.BACKBONES`, or the entry-point group ``atrc.backbones``).

Shapes: B batch, H x W pixels, C_s channels at scale s.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from searchspace.errors import InputError
from searchspace.registry import Registry

__all__ = ["BACKBONES", "Backbone", "check_image", "resize", "stack_scales"]

BACKBONES: Registry[Callable[..., Backbone]] = Registry("backbone", "atrc.backbones")

SMALLEST_IMAGE = 32


class Backbone(nn.Module, ABC):
    """A network from an image to four feature maps, the finest at stride 4.

    Attributes:
        name: What the backbone is called in messages.
        channels: C_s of the four maps, finest first.
        strides: Pixels of the image per pixel of each map, finest first.
    """

    name: str = "backbone"
    strides: tuple[int, ...] = (4, 8, 16, 32)
    channels: tuple[int, ...]

    @abstractmethod
    def forward(self, image: Tensor) -> list[Tensor]:
        """The four feature maps of a batch of images, finest first.

        Args:
            image: ``(B, 3, H, W)``, RGB, normalised; any H, W >= 32, odd sizes too.

        Returns:
            ``(B, C_s, ceil(H / s), ceil(W / s))`` for s in `strides`; with the strides of most, 425 x 560 gives
            107 x 140, 54 x 70, 27 x 35 and 14 x 18.

        Raises:
            InputError: The image has another shape.
        """


def check_image(image: Tensor) -> None:
    """Raises `InputError` unless ``image`` is ``(B, 3, H, W)`` with H, W >= 32."""
    if image.ndim != 4 or image.shape[1] != 3 or min(image.shape[2:]) < SMALLEST_IMAGE:
        raise InputError(
            f"a backbone takes images (B, 3, H, W) with H, W >= {SMALLEST_IMAGE}, but got {tuple(image.shape)}"
        )


def resize(x: Tensor, size: Sequence[int]) -> Tensor:
    """``x`` ``(B, C, h, w)`` brought to ``size`` = (H, W), bilinear with ``align_corners=False``.

    By size and never by factor: the maps of an odd image are not multiples of one another.
    """
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    return functional.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)


def stack_scales(maps: Sequence[Tensor]) -> Tensor:
    """All scales as one map: each resized to the finest and concatenated (the input of every ATRC task head).

    Args:
        maps: ``(B, C_s, H_s, W_s)`` per scale, finest first.

    Returns:
        ``(B, sum of C_s, H_4, W_4)``.
    """
    size = maps[0].shape[-2:]
    return torch.cat([resize(x, size) for x in maps], dim=1)
